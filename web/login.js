// The login by way of a provider: who the browser is logged in as, for how long, and the way out.
// Knows the addresses below /auth, but neither the connection nor the DOM. The token itself is in a cookie that no script sees.

const RENEW_LEAST_S = 10;
const RENEW_MOST_S = 3_600;
const RETRY_S = 60;
const ANSWER_LIMIT_MS = 5_000;
const ROOM_KEY = 'crosstalk.room';

export class Login {
  /** `{name, label}` of each provider; none where nobody can log in. */
  providers = [];
  required = false;
  /** The username of whoever is logged in, else empty. */
  username = '';
  #renewal = 0;

  /** Asks the server; without an answer everything stays as it was known. */
  async learn() {
    let state;
    try {
      const answer = await fetch('/auth', { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
      if (!answer.ok) return;
      state = await answer.json();
    } catch {
      return;
    }
    const before = this.username;
    this.providers = state.providers;
    this.required = state.login_required;
    this.username = state.username ?? '';
    if (this.username !== before) this.#renew();
  }

  /** Keeps the token fresh for as long as the page is open. */
  async #renew() {
    clearTimeout(this.#renewal);
    if (!this.username) return;
    let wait = RETRY_S;
    try {
      const answer = await fetch('/auth/renew', { method: 'POST' });
      // The login has ended. The next connection finds that out too, and says so.
      if (answer.status === 401) return;
      if (answer.ok) wait = Math.min(RENEW_MOST_S, Math.max(RENEW_LEAST_S, (await answer.json()).lasts_s / 2));
    } catch { /* not reachable: tried again */ }
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => this.#renew(), wait * 1000);
  }

  /** Whether the login is over. */
  async logOut() {
    try {
      const answer = await fetch('/auth/logout', { method: 'POST' });
      return answer.ok;
    } catch {
      return false;
    }
  }
}

// The way to a provider and back leads to the plain page; the room that was asked for comes back in this way.

export function rememberRoom() {
  try {
    sessionStorage.setItem(ROOM_KEY, location.hash);
  } catch { /* storage may be switched off; this is a convenience only */ }
}

export function rememberedRoom() {
  try {
    const hash = sessionStorage.getItem(ROOM_KEY) ?? '';
    sessionStorage.removeItem(ROOM_KEY);
    return hash;
  } catch {
    return '';
  }
}
