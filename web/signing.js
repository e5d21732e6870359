// Who we are to the server: as a guest or as an account, and again after the connection was lost.

import { Unanswered } from './connection.js';
import { account, connection, me, refresh, rooms, view } from './page.js';
import { ALREADY_JOINED, join } from './places.js';
import { UNKNOWN_NOTE, taken } from './stream.js';

const NICKNAME_KEY = 'crosstalk.nickname';
// After a loss the server may still hold the lost session, and with it our nickname: for a moment if only the connection
// broke, for up to 15 s if a whole node died.
const NICKNAME_WAITS_MS = [1_000, 2_000, 3_000, 4_000, 5_000, 5_000];
const JOIN_WAITS_MS = [1_000, 2_000];
const RESUME_WAITS_MS = [1_000];
// Refusals that say nothing about the request; it is repeated for as long as they last.
const PASSING = ['Service is unavailable, try again', 'Too many requests'];

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** What a new connection begins with: whoever is logged in is known to the server, a guest has to say a nickname. */
export async function begin() {
  const { generation } = connection;
  if (account.username) {
    // The login may have ended while the connection was away.
    await learnAccount();
    if (connection.generation !== generation) return;
  }
  if (account.username) takeAccount();
  else if (me.nickname && me.token) goOn();
  else if (me.wanted) signIn();
  else view.status('online', 'Connected');
}

export function setSignedIn(value) {
  me.signedIn = value;
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
    answer = await insist(RESUME_WAITS_MS, { action: 'RESUME', token: me.token, rooms: places });
  } catch (failure) {
    if (connection.generation !== generation) return;
    // Too late, or the place was given up: everything is claimed anew.
    if (failure instanceof Unanswered) connection.drop();
    else signIn();
    return;
  }
  me.token = answer.resume;
  me.freshToken = me.token;
  if (answer.nickname !== me.nickname) {
    signIn();
    return;
  }
  me.wanted = me.nickname;
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
  const name = me.wanted;
  const returning = me.nickname !== '' && !me.signedIn;
  const { generation } = connection;
  if (!me.signedIn) view.status('connecting', returning ? 'Taking your nickname back…' : 'Signing in…');
  view.loginState({ busy: true });
  try {
    await insist(returning ? NICKNAME_WAITS_MS : [], { action: 'LOGIN NICK', nickname: name });
  } catch (failure) {
    if (connection.generation === generation) signInFailed(name, returning, failure);
    return;
  }
  me.nickname = me.wanted = name;
  me.token = me.freshToken;
  remember(name);
  view.loginState({});
  view.showChat(name);
  if (!me.signedIn) await takeRooms();
}

function signInFailed(name, returning, failure) {
  // Without an answer the claim is repeated on the next connection.
  if (failure instanceof Unanswered) {
    connection.drop();
    return;
  }
  view.status('online', 'Connected');
  if (returning) {
    me.nickname = me.wanted = '';
    const error = `“${name}” is no longer yours: ${failure.message}`;
    view.showLogin({ title: 'Choose another nickname', nickname: name, error, cancellable: false });
  } else {
    me.wanted = me.nickname;
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
  if (me.hashRoom) join(me.hashRoom);
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

export async function learnAccount() {
  const before = account.username;
  await account.learn();
  view.loginChoices(account);
  view.account(account.username);
  if (!before || account.username) return;
  me.nickname = me.wanted = '';
  setSignedIn(false);
  view.showLogin({ title: 'Choose a nickname', nickname: '', error: 'Your login has ended', cancellable: false });
}

/** The connection brought the login with it, so there is no nickname to claim. */
async function takeAccount() {
  me.nickname = me.wanted = account.username;
  me.token = me.freshToken;
  view.loginState({});
  view.showChat(me.nickname);
  if (!me.signedIn) await takeRooms();
}

export async function logOut() {
  if (await account.logOut()) location.reload();
  else view.notice('You could not be logged out. Please try again.');
}

// --- nickname ------------------------------------------------------------------------------------------------

export function login(text) {
  const name = text.trim().normalize('NFC');
  if (!name) {
    view.loginState({ error: 'Enter a nickname' });
    return;
  }
  me.wanted = name;
  if (connection.open) signIn();
  else view.loginState({ error: 'Waiting for the connection…', busy: true });
}

// Storage may be switched off in the browser; remembering is a convenience only.
function remember(name) {
  try {
    localStorage.setItem(NICKNAME_KEY, name);
  } catch { /* see above */ }
}

export function remembered() {
  try {
    return localStorage.getItem(NICKNAME_KEY) ?? '';
  } catch {
    return '';
  }
}
