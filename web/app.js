// Wiring: the session (one nickname, its rooms) over a connection that comes and goes.

import { Connection, Refused, Unanswered } from './connection.js';
import { Login, rememberRoom, rememberedRoom } from './login.js';
import { Room, Rooms, ROOMS_MAX, roomId } from './rooms.js';
import {
  GAP_NOTE, UNKNOWN_NOTE, advance, heardTyping, listMembers, listRooms, readEarlier, sayTyping, stoppedTyping, taken,
} from './stream.js';
import { TEXT_LIMIT_BYTES, View, textBytes } from './view.js';

const NICKNAME_KEY = 'crosstalk.nickname';
const ALREADY_JOINED = 'You are already registered in that room';
const PASSWORD_WANTED = ['Room password required', 'Wrong room password'];
const NOT_A_MEMBER = ['Room not found', 'You are already leave this room'];
// After a loss the server may still hold the lost session, and with it our nickname: for a moment if only the connection
// broke, for up to 15 s if a whole node died.
const NICKNAME_WAITS_MS = [1_000, 2_000, 3_000, 4_000, 5_000, 5_000];
const JOIN_WAITS_MS = [1_000, 2_000];
const RESUME_WAITS_MS = [1_000];
// Refusals that say nothing about the request; it is repeated for as long as they last.
const PASSING = ['Service is unavailable, try again', 'Too many requests'];
const LOGIN_NEEDED = 'Log in to connect';

const rooms = new Rooms();
const account = new Login();
/** The nickname the server gave us; empty until then, and again once it was refused after a loss. */
let nickname = '';
/** The nickname to claim as soon as there is a connection. */
let wanted = '';
/** With these the present session can be gone on with in another connection, and the one that this connection began with. */
let token = '';
let freshToken = '';
/** Whether the present connection has our nickname and rooms. */
let signedIn = false;
/** Whether there ever was a connection: without one, none can be called lost. */
let connected = false;
let hashRoom = roomFromHash();
let countdown = 0;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const connection = new Connection(
  `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/chat/action?ext=1`,
  { onState: connectionState, onMessage: receive },
);

const view = new View({
  login,
  cancelLogin() {
    wanted = nickname;
    view.showChat(nickname);
  },
  leaveForProvider: rememberRoom,
  logOut,
  rename: () => view.showLogin({ title: 'Change nickname', nickname, cancellable: true }),
  retry: () => connection.dial(),
  join,
  select,
  leave,
  rejoin: () => rooms.current && enter(rooms.current),
  draft(text) {
    if (!rooms.current) return;
    rooms.current.draft = text;
    if (text) sayTyping(connection, rooms.current);
  },
  earlier,
  members,
  async roomNames() {
    if (connection.open) view.roomNames(await listRooms(connection).catch(() => []));
  },
  send,
  resend: (entry) => unqueueThen(entry, (room) => post(room, entry.text, entry.key)),
  edit: (entry) => unqueueThen(entry, (room) => {
    room.draft = room.draft ? `${entry.text}\n${room.draft}` : entry.text;
    view.compose(room.draft);
    view.focusTalk();
  }),
  discard: (entry) => unqueueThen(entry, () => view.focusTalk()),
});

// --- connection ----------------------------------------------------------------------------------------------

function connectionState({ state, retryAt, reason }) {
  clearInterval(countdown);
  if (state === 'connecting') {
    view.status('connecting', 'Connecting…');
  } else if (state === 'open') {
    connected = true;
    begin();
  } else {
    setSignedIn(false);
    for (const room of rooms.all) room.joined = false;
    // A login that has ended may be why there is no connection.
    if (account.username) learnAccount();
    if (state === 'ended') {
      view.status('ended', reason);
      refresh();
      return;
    }
    const text = connected ? 'Connection lost' : 'Server not reachable';
    const tick = () => {
      const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
      view.status('offline', text, `retrying in ${seconds} s`);
    };
    tick();
    countdown = setInterval(tick, 500);
    refresh();
  }
}

/** What a new connection begins with: whoever is logged in is known to the server, a guest has to say a nickname. */
async function begin() {
  const { generation } = connection;
  if (account.username) {
    // The login may have ended while the connection was away.
    await learnAccount();
    if (connection.generation !== generation) return;
  }
  if (account.username) takeAccount();
  else if (nickname && token) goOn();
  else if (wanted) signIn();
  else view.status('online', 'Connected');
}

function setSignedIn(value) {
  signedIn = value;
  view.renameEnabled(value);
}

/** Goes on where the lost connection was: with its nickname and its rooms, in which nobody saw us leave. */
async function goOn() {
  const { generation } = connection;
  const joined = rooms.all.filter((room) => !room.direct);
  const places = joined.map((room) => ({ room_id: room.id, ...room.position }));
  view.status('connecting', 'Taking your place back…');
  let answer;
  try {
    answer = await insist(RESUME_WAITS_MS, { action: 'RESUME', token, rooms: places });
  } catch (failure) {
    if (connection.generation !== generation) return;
    // Too late, or the place was given up: everything is claimed anew.
    if (failure instanceof Unanswered) connection.drop();
    else signIn();
    return;
  }
  token = answer.resume;
  freshToken = token;
  if (answer.nickname !== nickname) {
    signIn();
    return;
  }
  wanted = nickname;
  for (const [index, room] of joined.entries()) {
    const place = answer.rooms?.[index];
    if (place && !place.error) {
      room.joined = true;
      const note = taken(room, place);
      if (note) room.note(note);
    } else {
      await reenter(room);
      if (connection.generation !== generation) return;
    }
  }
  for (const room of rooms.all.filter(({ direct }) => direct)) await reenter(room);
  settle();
}

/** Claims the wanted nickname; on a new connection also takes the rooms back. */
async function signIn() {
  const name = wanted;
  const returning = nickname !== '' && !signedIn;
  const { generation } = connection;
  if (!signedIn) view.status('connecting', returning ? 'Taking your nickname back…' : 'Signing in…');
  view.loginState({ busy: true });
  try {
    await insist(returning ? NICKNAME_WAITS_MS : [], { action: 'LOGIN NICK', nickname: name });
  } catch (failure) {
    if (connection.generation === generation) signInFailed(name, returning, failure);
    return;
  }
  nickname = wanted = name;
  token = freshToken;
  remember(name);
  view.loginState({});
  view.showChat(name);
  if (!signedIn) await takeRooms();
}

function signInFailed(name, returning, failure) {
  // Without an answer the claim is repeated on the next connection.
  if (failure instanceof Unanswered) {
    connection.drop();
    return;
  }
  view.status('online', 'Connected');
  if (returning) {
    nickname = wanted = '';
    const error = `“${name}” is no longer yours: ${failure.message}`;
    view.showLogin({ title: 'Choose another nickname', nickname: name, error, cancellable: false });
  } else {
    wanted = nickname;
    view.loginState({ error: failure.message });
  }
}

async function takeRooms() {
  const { generation } = connection;
  for (const room of rooms.all) {
    if (rooms.listed(room)) await reenter(room);
    // After another loss the next connection starts this anew.
    if (connection.generation !== generation) return;
  }
  settle();
}

/** The connection has our nickname and rooms. */
function settle() {
  setSignedIn(true);
  view.status('online', 'Connected');
  refresh();
  if (hashRoom) join(hashRoom);
}

async function reenter(room) {
  const { generation } = connection;
  try {
    const note = room.direct ? UNKNOWN_NOTE : taken(room, await insist(JOIN_WAITS_MS, room.joinRequest));
    room.joined = true;
    if (note) room.note(note);
  } catch (failure) {
    if (connection.generation !== generation) return;
    room.joined = failure.message === ALREADY_JOINED;
    room.note(room.joined ? UNKNOWN_NOTE : `Reconnected, but joining this room again failed: ${failure.message}.`);
  }
  refresh();
}

/** A request that is repeated after each of these waits where a refusal may pass. Never outlives its connection. */
async function insist(waits, fields) {
  const { generation } = connection;
  for (let refusals = 0; ;) {
    try {
      return await connection.request(fields);
    } catch (failure) {
      if (failure instanceof Unanswered || failure.message === ALREADY_JOINED) throw failure;
      const wait = PASSING.includes(failure.message) ? waits.at(-1) : waits[refusals++];
      if (wait === undefined) throw failure;
      await sleep(wait);
      if (connection.generation !== generation) throw failure;
    }
  }
}

// --- account -------------------------------------------------------------------------------------------------

async function learnAccount() {
  const before = account.username;
  await account.learn();
  view.loginChoices(account);
  view.account(account.username);
  if (!before || account.username) return;
  nickname = wanted = '';
  setSignedIn(false);
  view.showLogin({ title: 'Choose a nickname', nickname: '', error: 'Your login has ended', cancellable: false });
}

/** The connection brought the login with it, so there is no nickname to claim. */
async function takeAccount() {
  nickname = wanted = account.username;
  token = freshToken;
  view.loginState({});
  view.showChat(nickname);
  if (!signedIn) await takeRooms();
}

async function logOut() {
  if (await account.logOut()) location.reload();
  else view.notice('You could not be logged out. Please try again.');
}

// --- nickname ------------------------------------------------------------------------------------------------

function login(text) {
  const name = text.trim().normalize('NFC');
  if (!name) {
    view.loginState({ error: 'Enter a nickname' });
    return;
  }
  wanted = name;
  if (connection.open) signIn();
  else view.loginState({ error: 'Waiting for the connection…', busy: true });
}

// Storage may be switched off in the browser; remembering is a convenience only.
function remember(name) {
  try {
    localStorage.setItem(NICKNAME_KEY, name);
  } catch { /* see above */ }
}

function remembered() {
  try {
    return localStorage.getItem(NICKNAME_KEY) ?? '';
  } catch {
    return '';
  }
}

// --- rooms ---------------------------------------------------------------------------------------------------

function join(text) {
  hashRoom = '';
  const id = roomId(text);
  const known = rooms.get(id);
  if (!id || id === '@') view.notice('Enter the name of a room, or of a person after an @');
  else if (known?.joined) select(known);
  else if (!known && rooms.full) view.notice(`You are in ${ROOMS_MAX} rooms. Leave one to join another.`);
  else if (id.startsWith('@')) converse(id);
  else enter(rooms.expect(id));
}

/** Opens the conversation with one person. Whether there is one of that name the first message shows. */
function converse(id) {
  const room = new Room(id);
  room.joined = true;
  rooms.list(room);
  view.notice('');
  select(room);
}

async function enter(room) {
  let note = UNKNOWN_NOTE;
  try {
    note = taken(room, await connection.request(room.joinRequest));
  } catch (failure) {
    if (PASSWORD_WANTED.includes(failure.message)) {
      askPassword(room, failure.message);
      return;
    }
    // The answer to an earlier attempt was lost, the membership was not.
    if (failure.message !== ALREADY_JOINED) {
      rooms.forget(room);
      view.notice(`${room.label} was not joined: ${failure.message}`);
      return;
    }
  }
  if (rooms.listed(room) && !room.joined && note) room.note(note);
  room.joined = true;
  rooms.list(room);
  view.notice('');
  select(room);
}

async function askPassword(room, failure) {
  rooms.forget(room);
  const password = await view.askPassword(room.label, room.password ? failure : '');
  if (!password || (!rooms.get(room.id) && rooms.full)) return;
  const again = rooms.expect(room.id);
  again.password = password;
  enter(again);
}

function select(room) {
  rooms.current = room;
  if (room) room.unread = 0;
  // The address names the room, so that it can be shared and survives a reload.
  const hash = room && !room.direct ? `#${encodeURIComponent(room.id)}` : location.pathname;
  history.replaceState(null, '', hash);
  // Another name the user has begun to type meanwhile stays.
  if (room && roomId(view.joinText) === room.id) view.joinText = '';
  view.room(room);
  refresh();
  view.focusTalk();
}

async function leave() {
  const room = rooms.current;
  // A room we are not in (any more) has nothing to be asked of the server.
  if (room.joined && !room.direct) {
    try {
      await connection.request({ action: 'LEFT ROOM', room_id: room.id });
    } catch (failure) {
      if (connection.open && !NOT_A_MEMBER.includes(failure.message)) {
        view.notice(`${room.label} was not left: ${failure.message}`);
        return;
      }
    }
  }
  room.joined = false;
  const wasCurrent = rooms.current === room;
  rooms.remove(room);
  view.notice('');
  if (wasCurrent) select(rooms.current);
  else refresh();
}

function roomFromHash() {
  try {
    return roomId(decodeURIComponent(location.hash));
  } catch {
    return '';
  }
}

function refresh() {
  view.rooms(rooms.all, rooms.current, signedIn);
  view.messagesChanged();
  const name = rooms.current ? `${rooms.current.label} · Crosstalk` : 'Crosstalk';
  view.title(rooms.unread ? `(${rooms.unread}) ${name}` : name);
}

// --- messages ------------------------------------------------------------------------------------------------

function receive(message) {
  if (message.action === 'ERROR') {
    view.notice(String(message.message));
    return;
  }
  if (message.action === 'RESPONSE') freshToken = String(message.resume ?? '');
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
  } else if (event === 'destroy' || (event === 'kick' && subject === nickname)) {
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
  const own = author === nickname;
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
  const own = author === nickname;
  return { author, text: String(message.text), own, at: Number.isNaN(at.getTime()) ? new Date() : at };
}

/** The page of history before what the current room shows. */
async function earlier() {
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

async function members() {
  const room = rooms.current;
  try {
    view.members(room.label, await listMembers(connection, room));
  } catch (failure) {
    view.notice(`The members of ${room.label} cannot be had: ${failure.message}`);
  }
}

function send(text) {
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
function post(room, text, key) {
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
      room.add({ author: nickname, text: entry.text, own: true });
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

function unqueueThen(entry, next) {
  const room = rooms.current;
  room.unqueue(entry);
  view.notice('');
  next(room);
  view.outbox();
}

// --- start ---------------------------------------------------------------------------------------------------

addEventListener('hashchange', () => {
  hashRoom = roomFromHash();
  if (hashRoom && signedIn) join(hashRoom);
});
addEventListener('online', () => connection.dial());
document.addEventListener('visibilitychange', () => {
  if (document.hidden || !rooms.current) return;
  rooms.current.unread = 0;
  refresh();
});

if (!location.hash) {
  const hash = rememberedRoom();
  if (hash) history.replaceState(null, '', hash);
  hashRoom = roomFromHash();
}
view.room(null);
view.joinText = hashRoom && `#${hashRoom}`;
view.showLogin({ title: 'Choose a nickname', nickname: remembered(), cancellable: false });
await learnAccount();
if (account.required && !account.username) view.status('idle', LOGIN_NEEDED);
else connection.dial();
