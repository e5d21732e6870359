// The rooms one is in: into them, between them, out of them.

import { connection, me, refresh, rooms, view } from './page.js';
import { ROOMS_MAX, Room, roomId } from './rooms.js';
import { UNKNOWN_NOTE, taken } from './stream.js';

export const ALREADY_JOINED = 'You are already registered in that room';
const PASSWORD_WANTED = ['Room password required', 'Wrong room password'];
const NOT_A_MEMBER = ['Room not found', 'You are already leave this room'];

export function join(text) {
  me.hashRoom = '';
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

export async function enter(room) {
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

export function select(room) {
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

export async function leave() {
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

export function roomFromHash() {
  try {
    return roomId(decodeURIComponent(location.hash));
  } catch {
    return '';
  }
}
