// A room's stream as the page follows it: where it stands, what came before, who is writing.
// Knows the requests of the extended mode; neither the DOM nor when to ask.

const PAGE = 50;
const TYPING_SAID_MS = 3_000;
const TYPING_SHOWN_MS = 4_000;

export const LOST_NOTE = 'Reconnected. Messages sent while the connection was lost are missing here.';
export const UNKNOWN_NOTE = 'Reconnected. Messages sent while the connection was lost may be missing here.';
export const GAP_NOTE = 'Some messages are missing here: the server has lost them.';

/** Takes note of the place of an event; `false` when the room has shown it already. */
export function advance(room, { epoch, offset }) {
  if (!Number.isInteger(offset)) return true;
  const { position } = room;
  if (position && position.epoch === epoch && offset <= position.offset) return false;
  room.position = { epoch, offset };
  return true;
}

/** What a join answered. Returns what there is to say to somebody who was in the room before. */
export function taken(room, { position, recovered }) {
  const wasAsked = recovered !== undefined;
  if (!recovered) {
    // Its own join is still to come.
    room.position = position && { ...position, offset: position.offset - 1 };
    room.earlier ??= position ?? null;
  }
  if (recovered) return '';
  return wasAsked ? LOST_NOTE : UNKNOWN_NOTE;
}

/** Fetches the page before the oldest message that is known. */
export async function readEarlier(connection, room) {
  const before = room.earlier;
  if (!before || room.reading) return [];
  room.reading = true;
  try {
    const answer = await connection.request({ action: 'GET HISTORY', room_id: room.id, before, limit: PAGE });
    const messages = answer.messages ?? [];
    const [oldest] = messages;
    room.earlier = answer.more && oldest ? { epoch: oldest.epoch, offset: oldest.offset } : null;
    return messages;
  } finally {
    room.reading = false;
  }
}

export async function listMembers(connection, room) {
  const answer = await connection.request({ action: 'LIST MEMBERS', room_id: room.id });
  return { names: (answer.members ?? []).map(({ name }) => String(name)), more: Boolean(answer.more) };
}

export async function listRooms(connection) {
  const answer = await connection.request({ action: 'LIST ROOMS' });
  return (answer.rooms ?? []).map((room) => String(room.room_id));
}

/** Says that we are writing, now and then. It is of no matter whether that arrives. */
export function sayTyping(connection, room) {
  const now = performance.now();
  if (!room.joined || room.direct || now - (room.saidTypingAt ?? -Infinity) < TYPING_SAID_MS) return;
  room.saidTypingAt = now;
  connection.request({ action: 'TYPING', room_id: room.id }).catch(() => {});
}

/** Somebody writes; `onEnd` follows when nothing was heard of it for a while. */
export function heardTyping(room, author, onEnd) {
  clearTimeout(room.typists.get(author));
  room.typists.set(author, setTimeout(() => {
    room.typists.delete(author);
    onEnd();
  }, TYPING_SHOWN_MS));
}

export function stoppedTyping(room, author) {
  clearTimeout(room.typists.get(author));
  room.typists.delete(author);
}
