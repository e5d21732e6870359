// What the parts of the page share: who we are, our rooms, the connection and the view.

import { Connection } from './connection.js';
import { Login } from './login.js';
import { Rooms } from './rooms.js';
import { View } from './view.js';

export const me = {
  /** The nickname the server gave us; empty until then, and again once it was refused after a loss. */
  nickname: '',
  /** The nickname to claim as soon as there is a connection. */
  wanted: '',
  /** With these the present session can be gone on with in another connection, and the one that this connection began with. */
  token: '',
  freshToken: '',
  /** Whether the present connection has our nickname and rooms. */
  signedIn: false,
  /** The room that the address names, until it is joined. */
  hashRoom: '',
};
export const rooms = new Rooms();
export const account = new Login();

/** What is done when the user does something, and when the connection does: filled by `app.js`, which knows all parts. */
export const on = {};
export const heard = {};

export const view = new View(on);
export const connection = new Connection(
  `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/chat/action?ext=1`,
  { onState: (state) => heard.state(state), onMessage: (message) => heard.message(message) },
);

export function refresh() {
  view.rooms(rooms.all, rooms.current, me.signedIn);
  view.messagesChanged();
  const name = rooms.current ? `${rooms.current.label} · Crosstalk` : 'Crosstalk';
  view.title(rooms.unread ? `(${rooms.unread}) ${name}` : name);
}
