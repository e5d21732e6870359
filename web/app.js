// Wiring: the session (one nickname, its rooms) over a connection that comes and goes.

import { rememberRoom, rememberedRoom } from './login.js';
import { account, connection, heard, me, on, refresh, rooms, view } from './page.js';
import { enter, join, leave, roomFromHash, select } from './places.js';
import { begin, learnAccount, logOut, login, remembered, setSignedIn } from './signing.js';
import { listRooms, sayTyping } from './stream.js';
import { earlier, members, post, receive, send, unqueueThen } from './talk.js';

const LOGIN_NEEDED = 'Log in to connect';

/** Whether there ever was a connection: without one, none can be called lost. */
let connected = false;
let countdown = 0;

Object.assign(on, {
  login,
  cancelLogin() {
    me.wanted = me.nickname;
    view.showChat(me.nickname);
  },
  leaveForProvider: rememberRoom,
  logOut,
  rename: () => view.showLogin({ title: 'Change nickname', nickname: me.nickname, cancellable: true }),
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
Object.assign(heard, { state: connectionState, message: receive });

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

// --- start ---------------------------------------------------------------------------------------------------

me.hashRoom = roomFromHash();

addEventListener('hashchange', () => {
  me.hashRoom = roomFromHash();
  if (me.hashRoom && me.signedIn) join(me.hashRoom);
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
  me.hashRoom = roomFromHash();
}
view.room(null);
view.joinText = me.hashRoom && `#${me.hashRoom}`;
view.showLogin({ title: 'Choose a nickname', nickname: remembered(), cancellable: false });
await learnAccount();
if (account.required && !account.username) view.status('idle', LOGIN_NEEDED);
else connection.dial();
