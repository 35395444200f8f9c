import { decodeJwt } from "jose";
import { ProblemError } from "./problem.js";
import type { Session } from "./schema.gen.js";

/** How long before its end an access token is exchanged, or after nine tenths of its life if that is later. */
const refreshAhead = 30_000;

/** In whose name a request is sent. */
export interface Credentials {
  /** Puts them on a request, and returns what `renew` wants to know. */
  authorize(headers: Headers): Promise<string>;
  /** Called when the service took them for invalid; whether there are others to try. */
  renew(used: string): Promise<boolean>;
}

/** Credentials that do not change. */
export function fixed(header: string, value: string): Credentials {
  return {
    async authorize(headers) {
      headers.set(header, value);
      return value;
    },
    renew: async () => false,
  };
}

/** Keeps a session alive. */
export class Keeper implements Credentials {
  session: Session;
  #due = 0;
  #expires = 0;
  #ended: unknown;
  #exchange: Promise<void> | undefined; // under way

  constructor(
    session: Session,
    private readonly refresh: (token: string) => Promise<Session>,
    private readonly changed: (session: Session) => unknown,
  ) {
    this.session = session;
    this.#keep(session);
    // A stored session is older than its expires_in says.
    const expires = expiryOf(session.access_token);
    if (expires < this.#expires) this.#setExpiry(expires, session.expires_in * 1000);
  }

  async authorize(headers: Headers): Promise<string> {
    if (this.#ended) throw this.#ended;
    const now = Date.now();
    if (now >= this.#due) {
      const exchange = this.#begin();
      // As long as the token is good nobody waits for the next one.
      if (now >= this.#expires) await exchange;
      else exchange.catch(() => undefined);
    }
    headers.set("Authorization", `Bearer ${this.session.access_token}`);
    return this.session.access_token;
  }

  async renew(used: string): Promise<boolean> {
    if (this.session.access_token === used) await this.#begin(); // else somebody was faster
    return true;
  }

  /** Exchanges the refresh token, once for all who wait. Nobody's signal ends it: an answer that nobody takes would be a session lost. */
  #begin(): Promise<void> {
    if (this.#ended) return Promise.reject(this.#ended);
    this.#exchange ??= this.#run().finally(() => {
      this.#exchange = undefined;
    });
    return this.#exchange;
  }

  async #run(): Promise<void> {
    try {
      const next = await this.refresh(this.session.refresh_token);
      await this.changed(next);
      this.#keep(next);
    } catch (error) {
      if (error instanceof ProblemError && error.status >= 400 && error.status < 500 && error.status !== 429) this.#ended = error;
      throw error;
    }
  }

  #keep(session: Session): void {
    this.session = session;
    const life = session.expires_in * 1000;
    this.#setExpiry(Date.now() + life, life);
  }

  #setExpiry(expires: number, life: number): void {
    this.#expires = expires;
    this.#due = expires - Math.min(refreshAhead, life / 10);
  }
}

/** When a token ends, in milliseconds, without looking whether it is a good one. */
function expiryOf(token: string): number {
  try {
    return (decodeJwt(token).exp ?? Infinity) * 1000;
  } catch {
    return Infinity;
  }
}
