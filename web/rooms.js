// What the page knows about its rooms. Neither the DOM nor the connection is known here.

export const ROOMS_MAX = 100;
const MESSAGES_MAX = 500;
const OUTBOX_MAX = 20;

/** The id the server knows the room by: `#main`, ` main ` and `main` are one room. */
export function roomId(text) {
  return text.trim().replace(/^#/, '').normalize('NFC').trim();
}

/** Not a UUID of the browser's making, which needs a secure context. */
const randomKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('-');

export class Room {
  joined = false;
  /** Up to where the room was shown; nothing before it was joined. */
  position = null;
  /** The oldest place that is shown, while there is something before it: nothing known yet, or nothing there. */
  earlier = undefined;
  /** Who is writing, each with the timer that ends it. */
  typists = new Map();
  unread = 0;
  draft = '';
  messages = [];
  /** Sent texts without a confirmed outcome: `{text, state: 'sending' | 'refused' | 'unknown', reason}`. */
  outbox = [];

  /** What opened the room, for coming back after a loss; empty where none was needed. */
  password = '';

  constructor(id) {
    this.id = id;
  }

  get joinRequest() {
    const request = { action: 'JOIN ROOM', room_id: this.id };
    if (this.password) request.password = this.password;
    if (this.position) request.since = this.position;
    return request;
  }

  /** A conversation with one person; it is neither joined nor left. */
  get direct() {
    return this.id.startsWith('@');
  }

  get label() {
    return this.direct ? this.id : `#${this.id}`;
  }

  add(message) {
    this.messages.push({ at: new Date(), ...message });
    if (this.messages.length > MESSAGES_MAX) this.messages.shift();
  }

  /** Puts older messages before all others; as many as there is room for, the newest of them. */
  prepend(messages) {
    const room = MESSAGES_MAX - this.messages.length;
    if (room < messages.length) this.earlier = null;
    this.messages.unshift(...messages.slice(Math.max(0, messages.length - room)));
  }

  /** A line of the page's own. Says the same thing once in a row, however often the network fails. */
  note(text) {
    if (this.messages.at(-1)?.system && this.messages.at(-1).text === text) this.messages.pop();
    this.add({ system: true, text });
  }

  /** @param key what the text was sent under before, so that it is not said twice */
  queue(text, key) {
    if (this.outbox.length >= OUTBOX_MAX) return null;
    const entry = { text, key: key ?? randomKey(), state: 'sending', reason: '' };
    this.outbox.push(entry);
    return entry;
  }

  unqueue(entry) {
    this.outbox = this.outbox.filter((other) => other !== entry);
  }

  /** Our own message came back from the room, which proves its delivery even where the answer was lost. */
  confirm(text) {
    const matches = (state) => this.outbox.find((entry) => entry.state === state && entry.text === text);
    this.unqueue(matches('sending') ?? matches('unknown'));
  }
}

export class Rooms {
  #rooms = new Map();
  /** Rooms whose join is on its way: their first message may overtake the answer. */
  #joining = new Map();
  current = null;

  get all() {
    return [...this.#rooms.values()];
  }

  get full() {
    return this.#rooms.size + this.#joining.size >= ROOMS_MAX;
  }

  get unread() {
    return this.all.reduce((sum, room) => sum + room.unread, 0);
  }

  get(id) {
    return this.#rooms.get(id) ?? this.#joining.get(id);
  }

  listed(room) {
    return this.#rooms.get(room.id) === room;
  }

  /** The room while its join is decided: the one at hand, or a new one that is not listed yet. */
  expect(id) {
    const room = this.get(id) ?? new Room(id);
    if (!this.listed(room)) this.#joining.set(id, room);
    return room;
  }

  forget(room) {
    this.#joining.delete(room.id);
  }

  list(room) {
    this.#joining.delete(room.id);
    this.#rooms.set(room.id, room);
  }

  /** Takes the room off the list; where it was the current one, its neighbour follows. */
  remove(room) {
    const index = this.all.indexOf(room);
    this.#rooms.delete(room.id);
    if (this.current === room) this.current = this.all[index] ?? this.all[index - 1] ?? null;
  }
}
