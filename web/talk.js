// What is said and heard in rooms.

import { Refused } from './connection.js';
import { connection, me, refresh, rooms, view } from './page.js';
import { Room } from './rooms.js';
import { GAP_NOTE, advance, heardTyping, listMembers, readEarlier, stoppedTyping } from './stream.js';
import { TEXT_LIMIT_BYTES, textBytes } from './view.js';

export function receive(message) {
  if (message.action === 'ERROR') {
    view.notice(String(message.message));
    return;
  }
  if (message.action === 'RESPONSE') me.freshToken = String(message.resume ?? '');
  else if (message.action === 'GET MESSAGE') said(String(message.room_id), String(message.author), message);
  else if (message.action === 'PRIVATE MESSAGE') said(`@${message.from}`, String(message.from), message);
  else if (message.action === 'ROOM EVENT') happened(message);
  else if (message.action === 'TYPING') typing(String(message.room_id), String(message.author));
}

/** What happened in a room beside what was said. */
function happened({ room_id: id, event, subject, epoch, offset }) {
  const room = rooms.get(String(id));
  // Told to everybody, not to those who are in it.
  if (!room || !Number.isInteger(offset)) return;
  if (event === 'gap') {
    room.position = { epoch, offset };
    room.note(GAP_NOTE);
  } else if (!advance(room, { epoch, offset })) {
    return;
  } else if (event === 'destroy' || (event === 'kick' && subject === me.nickname)) {
    room.joined = false;
    room.note(event === 'destroy' ? 'This room was destroyed.' : 'You were put out of this room.');
  } else {
    return;
  }
  refresh();
}

function typing(id, author) {
  const room = rooms.get(id);
  if (!room) return;
  const show = () => room === rooms.current && view.typists([...room.typists.keys()]);
  heardTyping(room, author, show);
  show();
}

function said(id, author, message) {
  const text = String(message.text);
  let room = rooms.get(id);
  if (!room) {
    // Messages of a room just left may still be on their way; a private one opens its conversation.
    if (!id.startsWith('@') || rooms.full) return;
    room = new Room(id);
    room.joined = true;
    rooms.list(room);
  }
  if (!advance(room, message)) return;
  const own = author === me.nickname;
  room.add(shown(message, author));
  stoppedTyping(room, author);
  if (own) room.confirm(text);
  if (own && room === rooms.current) view.outbox();
  if (!own && (room !== rooms.current || document.hidden)) room.unread += 1;
  refresh();
}

/** A message as the page shows it, at the time at which the server took it. */
function shown(message, author) {
  const at = new Date(message.time ?? NaN);
  const own = author === me.nickname;
  return { author, text: String(message.text), own, at: Number.isNaN(at.getTime()) ? new Date() : at };
}

/** The page of history before what the current room shows. */
export async function earlier() {
  const room = rooms.current;
  if (!room?.joined || room.direct) return;
  try {
    const messages = await readEarlier(connection, room);
    room.prepend(messages.map((message) => shown(message, String(message.author))));
  } catch (failure) {
    view.notice(`Earlier messages of ${room.label} cannot be had: ${failure.message}`);
  }
  if (room === rooms.current) view.earlierShown(room);
}

export async function members() {
  const room = rooms.current;
  try {
    view.members(room.label, await listMembers(connection, room));
  } catch (failure) {
    view.notice(`The members of ${room.label} cannot be had: ${failure.message}`);
  }
}

export function send(text) {
  const room = rooms.current;
  if (!room || !text.trim()) return;
  const bytes = textBytes(text);
  // What cannot be sent stays in the composer.
  if (!connection.open || !room.joined) {
    view.notice(connection.open ? `You are not in ${room.label}` : 'Not connected. Your text stays here.');
  } else if (bytes > TEXT_LIMIT_BYTES) {
    view.notice(`Message is too long: ${bytes} of ${TEXT_LIMIT_BYTES} bytes`);
  } else if (post(room, text)) {
    room.draft = '';
    view.compose('');
    view.toBottom();
  }
}

/** Puts the text on its way; it stays in the outbox until it is known to have arrived. */
export function post(room, text, key) {
  const entry = room.queue(text, key);
  if (!entry) {
    view.notice('Too many messages are waiting to be sent in this room');
    return false;
  }
  deliver(room, entry);
  if (room === rooms.current) view.outbox();
  return true;
}

async function deliver(room, entry) {
  try {
    const { text, key } = entry;
    await connection.request(
      room.direct
        ? { action: 'SEND PRIVATE', to: room.id, text, key }
        : { action: 'SEND MESSAGE', room_id: room.id, text, key },
    );
    room.unqueue(entry);
    view.notice('');
    // Rooms send the sender's copy, people do not.
    if (room.direct) {
      room.add({ author: me.nickname, text: entry.text, own: true });
      refresh();
    }
  } catch (failure) {
    // Its copy may have come back from the room although the answer did not.
    if (!room.outbox.includes(entry)) return;
    entry.state = failure instanceof Refused ? 'refused' : 'unknown';
    entry.reason = failure.message;
    const verb = entry.state === 'refused' ? 'was not sent' : 'may not have been sent';
    view.notice(`A message to ${room.label} ${verb}: ${failure.message}`);
  }
  if (room === rooms.current) view.outbox();
}

export function unqueueThen(entry, next) {
  const room = rooms.current;
  room.unqueue(entry);
  view.notice('');
  next(room);
  view.outbox();
}
