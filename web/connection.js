// One WebSocket to the gateway: pairs requests with answers and comes back after a loss.
// Knows the frame of the `action` dialect, but neither nicknames nor rooms.

const ANSWER_LIMIT_MS = 10_000;
const DIAL_LIMIT_MS = 10_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_CAP_MS = 30_000;
const PENDING_MAX = 64;
/** Reasons given with a close after which coming back by itself would only do harm. */
const FINAL_REASONS = ['Your nickname is used by a newer login', 'You are logged out', 'Your session goes on in another connection'];

/** The server (or a limit of our own) said no: nothing happened, the message says why. */
export class Refused extends Error {}

/** No answer came. The server may or may not have carried the request out. */
export class Unanswered extends Error {}

export class Connection {
  #url;
  #onState;
  #onMessage;
  #socket = null;
  #open = false;
  #generation = 0;
  #dialLimit = 0;
  #redial = 0;
  #failures = 0;
  #heardAt = 0;
  #nextRef = 1;
  #pending = new Map();

  /**
   * @param onState `({state: 'connecting' | 'open'} | {state: 'waiting', retryAt} | {state: 'ended', reason})`; after `ended`
   *   only `dial` connects again
   * @param onMessage every frame that is not the answer to a request of this page
   */
  constructor(url, { onState, onMessage }) {
    this.#url = url;
    this.#onState = onState;
    this.#onMessage = onMessage;
  }

  get open() {
    return this.#open;
  }

  /** Changes with every loss, so that a caller can tell whether it still speaks on the same connection. */
  get generation() {
    return this.#generation;
  }

  dial() {
    if (this.#socket) return;
    clearTimeout(this.#redial);
    this.#onState({ state: 'connecting' });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#dialLimit = setTimeout(() => this.drop(), DIAL_LIMIT_MS);
    // A dropped socket may still report things; only the present one counts.
    const present = (handle) => (event) => this.#socket === socket && handle(event);
    socket.onopen = present(() => {
      clearTimeout(this.#dialLimit);
      this.#open = true;
      this.#onState({ state: 'open' });
    });
    socket.onmessage = present((event) => this.#receive(event.data));
    socket.onclose = present((event) => {
      if (FINAL_REASONS.includes(event.reason)) this.#end(event.reason);
      else this.drop();
    });
  }

  /**
   * Gives the socket up and schedules the next one. Does not wait for the closing handshake: on a dead
   * link that would hide the loss from the user for a long time.
   */
  drop() {
    if (!this.#socket) return;
    this.#lose();
    const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    // Jitter keeps the clients of a restarted node from returning in one wave.
    const delay = ceiling * (0.5 + Math.random() / 2);
    this.#redial = setTimeout(() => this.dial(), delay);
    this.#onState({ state: 'waiting', retryAt: Date.now() + delay });
    this.#abandonRequests();
  }

  #end(reason) {
    this.#lose();
    this.#onState({ state: 'ended', reason });
    this.#abandonRequests();
  }

  #lose() {
    clearTimeout(this.#dialLimit);
    const socket = this.#socket;
    this.#socket = null;
    this.#open = false;
    this.#generation += 1;
    socket.close();
  }

  #abandonRequests() {
    for (const ref of [...this.#pending.keys()]) {
      this.#settle(ref)?.reject(new Unanswered('The connection was lost before the server answered'));
    }
  }

  /** Resolves with the answer; rejects with Refused or Unanswered. */
  request(fields) {
    if (!this.#open) return Promise.reject(new Refused('Not connected'));
    if (this.#pending.size >= PENDING_MAX) {
      return Promise.reject(new Refused('Too many requests are still waiting for an answer'));
    }
    const ref = this.#nextRef++;
    const sentAt = performance.now();
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        this.#settle(ref)?.reject(new Unanswered('The server did not answer in time'));
        // Complete silence since then means a dead link, which the browser itself may not notice for minutes.
        if (this.#heardAt < sentAt) this.drop();
      }, ANSWER_LIMIT_MS);
      this.#pending.set(ref, { resolve, reject, limit });
      this.#socket.send(JSON.stringify({ ...fields, ref }));
    });
  }

  #settle(ref) {
    const entry = this.#pending.get(ref);
    if (entry) clearTimeout(entry.limit);
    this.#pending.delete(ref);
    return entry;
  }

  #receive(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message === null || typeof message !== 'object') return;
    // Only a server that talks ends the backoff: one that accepts and hangs up at once must not be hammered.
    this.#failures = 0;
    this.#heardAt = performance.now();
    const ref = message.request?.ref;
    if (message.action === 'RESPONSE' && ref !== undefined) {
      this.#settle(ref)?.resolve(message);
    } else if (message.action === 'ERROR' && ref !== undefined) {
      this.#settle(ref)?.reject(new Refused(String(message.message)));
    } else {
      this.#onMessage(message);
    }
  }
}
