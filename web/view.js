// The DOM. Renders state it is given and reports what the user does; decides nothing about the chat.
// Text of others enters the page through textContent and dataset only.

const TEXT_LIMIT_BYTES = 4096;
const TEXT_WARN_BYTES = 3584;
const RENDER_DELAY_MS = 16;
const GROUP_GAP_MS = 5 * 60_000;
const BOTTOM_SLACK_PX = 24;
/** Earlier messages are fetched when the oldest one is so close to being seen. */
const EARLIER_AHEAD_PX = 200;

const $ = (id) => document.getElementById(id);
const encoder = new TextEncoder();

export const textBytes = (text) => encoder.encode(text).length;
export { TEXT_LIMIT_BYTES };

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function button(text, onClick) {
  const node = element('button', 'quiet', text);
  node.type = 'button';
  node.addEventListener('click', onClick);
  return node;
}

const twoDigits = (number) => String(number).padStart(2, '0');
const clock = (date) => `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`;

/** Writing an unchanged text would make some screen readers announce it again. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export class View {
  #on;
  #room = null;
  #shown = [];
  #roomItems = new Map();
  #flush = 0;
  #pinned = true;
  #height = 0;
  /** Sees the oldest message that is shown come into sight. */
  #top;
  #oldest = null;

  /** @param on handlers: login, cancelLogin, leaveForProvider, rename, logOut, retry, join, select, leave, rejoin, draft, send, resend, edit, discard, earlier, members, roomNames */
  constructor(on) {
    this.#on = on;
    const submit = (id, handle) =>
      $(id).addEventListener('submit', (event) => {
        event.preventDefault();
        handle();
      });
    const click = (id, handle) => $(id).addEventListener('click', handle);
    submit('login-form', () => on.login($('nickname').value));
    submit('join-form', () => on.join($('room').value));
    submit('composer-form', () => on.send($('composer').value));
    click('login-cancel', () => on.cancelLogin());
    click('rename', () => on.rename());
    click('logout', () => on.logOut());
    click('providers', () => on.leaveForProvider());
    click('retry', () => on.retry());
    click('leave', () => on.leave());
    click('rejoin', () => on.rejoin());
    click('earlier', () => on.earlier());
    click('members', () => on.members());
    $('room').addEventListener('focus', () => on.roomNames());
    click('notice-close', () => this.notice(''));
    click('jump', () => this.toBottom());

    const composer = $('composer');
    composer.addEventListener('keydown', (event) => {
      // Enter that ends an input method's composition chooses a word; it does not send.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!event.repeat) $('composer-form').requestSubmit();
    });
    composer.addEventListener('input', () => {
      this.#measureComposer();
      on.draft(composer.value);
    });

    const list = $('messages');
    list.addEventListener('scroll', () => {
      // The report of an older scroll may come after the list has shrunk; only the user unpins it.
      if (list.clientHeight !== this.#height) return;
      this.#pinned = list.scrollHeight - list.scrollTop - list.clientHeight < BOTTOM_SLACK_PX;
      if (this.#pinned) $('jump').hidden = true;
    });
    // Only who scrolls up asks for more; a room that shows all it has is left as it is.
    this.#top = new IntersectionObserver((entries) => {
      if (entries.at(-1).isIntersecting && !this.#pinned && !$('earlier').hidden) on.earlier();
    }, { root: list, rootMargin: `${EARLIER_AHEAD_PX}px 0px 0px` });
    // A growing composer or a phone's keyboard takes height from the list: the newest line stays in sight.
    new ResizeObserver(() => {
      this.#height = list.clientHeight;
      if (this.#pinned) this.toBottom();
    }).observe(list);
  }

  // --- session ---------------------------------------------------------------------------------------------

  showLogin({ title, nickname, error = '', cancellable }) {
    document.body.dataset.view = 'login';
    $('login-title').textContent = title;
    $('nickname').value = nickname;
    $('login-cancel').hidden = !cancellable;
    this.loginState({ error });
    $('nickname').focus();
    $('nickname').select();
  }

  loginState({ error = '', busy = false }) {
    setText($('login-error'), error);
    $('nickname').setAttribute('aria-invalid', String(error !== '' && !busy));
    $('login').disabled = busy;
  }

  /** Offers the providers, and the form for guests unless they are refused. */
  loginChoices({ providers, required }) {
    const items = providers.map(({ name, label }) => {
      const item = element('li');
      const link = element('a', '', `Log in with ${label}`);
      link.href = `/auth/${encodeURIComponent(name)}`;
      item.append(link);
      return item;
    });
    $('providers').replaceChildren(...items);
    $('providers-card').hidden = items.length === 0;
    $('login-form').hidden = required;
  }

  /** Shows whose account it is, in place of the nickname that a guest may change; empty for a guest. */
  account(username) {
    setText($('account'), username);
    $('account-box').hidden = username === '';
    $('rename').hidden = username !== '';
  }

  showChat(nickname) {
    $('me').textContent = nickname;
    if (document.body.dataset.view === 'chat') return;
    document.body.dataset.view = 'chat';
    this.#measureComposer();
    this.toBottom();
    this.focusTalk();
  }

  status(state, text, detail = '') {
    $('status').dataset.state = state;
    setText($('status-text'), text);
    setText($('status-detail'), detail);
    $('retry').hidden = state !== 'offline' && state !== 'ended';
    setText($('retry'), state === 'ended' ? 'Connect here' : 'Retry now');
  }

  notice(text) {
    setText($('notice'), text);
    $('notice-box').hidden = text === '';
  }

  renameEnabled(enabled) {
    $('rename').disabled = !enabled;
  }

  title(text) {
    document.title = text;
  }

  // --- rooms -----------------------------------------------------------------------------------------------

  /** Resolves with the password, or with nothing when the user would rather not. */
  askPassword(label, error) {
    const dialog = $('password-dialog');
    setText($('password-room'), label);
    setText($('password-error'), error);
    $('password').value = '';
    dialog.returnValue = '';
    // A room asked for meanwhile takes the dialog over.
    if (!dialog.open) dialog.showModal();
    return new Promise((answer) => {
      dialog.onclose = () => answer(dialog.returnValue === 'enter' ? $('password').value : '');
    });
  }

  /** Who is in a room, as a list that is closed again. */
  members(label, { names, more }) {
    setText($('members-room'), label);
    const items = names.map((name) => element('li', '', name));
    if (more) items.push(element('li', 'hint', 'and more'));
    $('members-list').replaceChildren(...items);
    if (!$('members-dialog').open) $('members-dialog').showModal();
  }

  /** Names of rooms that the user may want to join. */
  roomNames(names) {
    $('room-names').replaceChildren(...names.map((name) => {
      const option = element('option');
      option.value = `#${name}`;
      return option;
    }));
  }

  typists(names) {
    const others = names.length > 3 ? 'Several people are' : `${names.join(', ')} ${names.length > 1 ? 'are' : 'is'}`;
    setText($('typing'), names.length ? `${others} writing…` : '');
  }

  get joinText() {
    return $('room').value;
  }

  set joinText(text) {
    $('room').value = text;
  }

  /** @param settled whether "not joined" is a fact about the room, not just the lack of a connection */
  rooms(all, current, settled) {
    const list = $('rooms');
    const present = new Set(all);
    for (const [room, item] of this.#roomItems) {
      if (present.has(room)) continue;
      item.remove();
      this.#roomItems.delete(room);
    }
    for (const room of all) {
      if (!this.#roomItems.has(room)) {
        const item = this.#roomItem(room);
        this.#roomItems.set(room, item);
        list.append(item);
      }
      this.#renderRoomItem(room, room === current, settled && !room.joined);
    }
    $('rejoin').hidden = !settled || !current || current.joined;
  }

  #roomItem(room) {
    const item = element('li');
    item.dataset.room = room.id;
    const select = element('button');
    select.type = 'button';
    select.append(element('span', 'room-name', room.label), element('span', 'badge'));
    select.addEventListener('click', () => this.#on.select(room));
    item.append(select);
    return item;
  }

  #renderRoomItem(room, isCurrent, isOut) {
    const item = this.#roomItems.get(room);
    const select = item.firstElementChild;
    const badge = select.lastElementChild;
    item.classList.toggle('out', isOut);
    select.title = isOut ? `${room.label} (not joined)` : room.label;
    if (isCurrent && !select.hasAttribute('aria-current')) item.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    isCurrent ? select.setAttribute('aria-current', 'true') : select.removeAttribute('aria-current');
    const unread = isCurrent ? 0 : room.unread;
    if (item.dataset.unread === String(unread)) return;
    item.dataset.unread = unread;
    badge.hidden = unread === 0;
    badge.replaceChildren();
    if (unread) badge.append(unread > 99 ? '99+' : String(unread), element('span', 'visually-hidden', ' unread'));
  }

  /** Shows the room (or none) with its messages, draft and unsent texts. */
  room(room) {
    this.#room = room;
    $('room-title').textContent = room ? room.label : 'No room yet';
    $('composer-form').hidden = !room;
    $('leave').hidden = !room;
    $('members').hidden = !room || room.direct;
    this.typists(room ? [...room.typists.keys()] : []);
    $('leave').textContent = room?.direct ? 'Close' : 'Leave';
    $('composer').placeholder = room ? `Message ${room.label}` : '';
    this.compose(room?.draft ?? '');
    this.outbox();
    this.#redraw();
    this.toBottom();
  }

  /** Older messages stand before the others now: what the user was looking at stays in sight. */
  earlierShown() {
    const list = $('messages');
    const fromEnd = list.scrollHeight - list.scrollTop;
    this.#redraw();
    list.scrollTop = list.scrollHeight - fromEnd;
    $('jump').hidden = true;
  }

  #redraw() {
    // Busy, so that a screen reader does not read a whole room out when it is opened.
    const log = $('messages').parentElement;
    log.setAttribute('aria-busy', 'true');
    this.#shown = [];
    $('messages').replaceChildren();
    this.#render();
    setTimeout(() => log.removeAttribute('aria-busy'), 100);
  }

  // --- messages --------------------------------------------------------------------------------------------

  /** Something was added to the current room. Bursts are drawn together. */
  messagesChanged() {
    this.#flush ||= setTimeout(() => {
      this.#flush = 0;
      this.#render();
    }, RENDER_DELAY_MS);
  }

  #render() {
    const list = $('messages');
    const messages = this.#room?.messages ?? [];
    const wanted = new Set(messages);
    this.#shown = this.#shown.filter(({ message, item }) => wanted.has(message) || item.remove());
    const known = new Set(this.#shown.map(({ message }) => message));
    let previous = this.#shown.at(-1)?.message;
    let added = false;
    for (const message of messages) {
      if (known.has(message)) continue;
      const item = message.system ? element('li', 'system', message.text) : this.#messageItem(message, previous);
      if (message.system) item.append(' ', this.#time(message.at));
      list.append(item);
      this.#shown.push({ message, item });
      previous = message;
      added = true;
    }
    // The line that named the group's author may just have gone past the limit.
    this.#shown[0]?.item.classList.remove('follows');
    this.#watchOldest();
    $('earlier').hidden = !this.#room?.earlier || this.#room.direct;
    $('empty').hidden = messages.length > 0;
    $('empty').textContent = this.#room
      ? 'Messages sent from now on appear here.'
      : 'Join a room by its name to start talking. If it does not exist yet, it is created.';
    if (!added) return;
    if (this.#pinned) this.toBottom();
    else $('jump').hidden = false;
  }

  #watchOldest() {
    const oldest = this.#shown[0]?.item ?? null;
    if (oldest === this.#oldest) return;
    this.#oldest = oldest;
    this.#top.disconnect();
    if (oldest) this.#top.observe(oldest);
  }

  #messageItem(message, previous) {
    const item = element('li', 'message');
    item.dataset.author = message.author;
    item.dataset.text = message.text;
    item.classList.toggle('own', message.own);
    item.classList.toggle(
      'follows',
      Boolean(previous) && !previous.system && previous.author === message.author &&
        previous.own === message.own && message.at - previous.at < GROUP_GAP_MS,
    );
    const body = element('div', 'body');
    const author = element('bdi', 'author', message.author);
    const text = element('p', 'text', message.text);
    // Right-to-left scripts follow their own text, not the page.
    text.dir = 'auto';
    body.append(text, this.#time(message.at));
    item.append(author, body);
    return item;
  }

  #time(date) {
    const time = element('time', '', clock(date));
    time.dateTime = date.toISOString();
    time.title = date.toLocaleString();
    return time;
  }

  toBottom() {
    const list = $('messages');
    this.#pinned = true;
    $('jump').hidden = true;
    list.scrollTop = list.scrollHeight;
  }

  // --- composing -------------------------------------------------------------------------------------------

  compose(text) {
    $('composer').value = text;
    this.#measureComposer();
  }

  /** Moves on to where the user types next. Not on touch screens, where focus calls the keyboard up. */
  focusTalk() {
    if (matchMedia('(pointer: coarse)').matches) return;
    (this.#room ? $('composer') : $('room')).focus();
  }

  #measureComposer() {
    const composer = $('composer');
    composer.style.height = 'auto';
    composer.style.height = `${composer.scrollHeight + composer.offsetHeight - composer.clientHeight}px`;
    const bytes = textBytes(composer.value);
    $('bytes').hidden = bytes < TEXT_WARN_BYTES;
    $('bytes').classList.toggle('over', bytes > TEXT_LIMIT_BYTES);
    setText($('bytes'), bytes < TEXT_WARN_BYTES ? '' : `${bytes} of ${TEXT_LIMIT_BYTES} bytes`);
  }

  outbox() {
    const items = (this.#room?.outbox ?? []).map((entry) => {
      const item = element('li', entry.state);
      const line = element('p', 'outbox-text', entry.text);
      line.dir = 'auto';
      item.append(line);
      if (entry.state === 'sending') {
        item.append(element('p', 'outbox-reason', 'Sending…'));
        return item;
      }
      const state = entry.state === 'unknown' ? 'Perhaps not sent' : 'Not sent';
      const actions = element('div', 'actions');
      actions.append(
        button('Send again', () => this.#on.resend(entry)),
        button('Edit', () => this.#on.edit(entry)),
        button('Discard', () => this.#on.discard(entry)),
      );
      const foot = element('div', 'outbox-foot');
      foot.append(element('p', 'outbox-reason', `${state}. ${entry.reason}.`), actions);
      item.append(foot);
      return item;
    });
    $('outbox').replaceChildren(...items);
    $('outbox').hidden = items.length === 0;
  }
}
