import { base64url, createRemoteJWKSet, customFetch, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from "jose";
import type { Scope, UserRole } from "./schema.gen.js";

/** What a verifier expects. */
export interface VerifierOptions {
  /** The `iss` of tokens (AUTH_JWT_ISSUER); the base URL by default. */
  issuer?: string;
  /** The `aud` of tokens (AUTH_JWT_AUDIENCE); `authservice` by default. */
  audience?: string;
  /** Fetches the keys in place of the global fetch. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** Who an access token says is calling. */
export interface Identity {
  userId: string;
  sessionId: string;
  role: UserRole;
  scopes: Scope[];
  expiresAt: Date;
}

/** A token that is not good (401), or keys that cannot be had, so that nobody can say (503). */
export class TokenError extends Error {
  override readonly name = "TokenError";
  constructor(
    readonly status: 401 | 503,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** How long keys are used without looking again: the max-age that the service gives them. */
const keysFresh = 300_000;
/** How long they are used while the service does not answer. */
const keysUsable = 3_600_000;
/** The shortest time between two looks. */
const keysInterval = 10_000;
/** How far ahead the clock may be of the replica that issued a token, in seconds. It does not lengthen a token's life. */
const leeway = 5;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const headerNames = ["alg", "typ", "kid", "crit", "b64"];
const claimNames = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "client_id", "sid", "scope", "role"];

/**
 * Checks access tokens with the service's public keys, without a call to it. What it cannot see is that a session has
 * ended meanwhile: a token is good until it expires, 15 minutes by default.
 *
 * Keys are fetched with the first token and looked at again every five minutes. A token with an unknown key makes it look
 * at once, but once in ten seconds at the most. While the service does not answer, the keys that are there are used for an
 * hour. Make one Verifier and share it.
 *
 * Services that sign with HS256 publish no key, and their tokens cannot be verified by others.
 */
export class Verifier {
  readonly #issuer: string;
  readonly #audience: string;
  readonly #keys: JWTVerifyGetKey;

  /** @param baseUrl Where the service is. */
  constructor(baseUrl: string, options: VerifierOptions = {}) {
    const server = new URL(baseUrl).href.replace(/\/+$/, "");
    this.#issuer = options.issuer ?? server;
    this.#audience = options.audience ?? "authservice";
    this.#keys = createRemoteJWKSet(new URL(server + "/.well-known/jwks.json"), {
      cacheMaxAge: keysFresh,
      cooldownDuration: keysInterval,
      timeoutDuration: 5000,
      [customFetch]: lasting(options.fetch ?? ((url, init) => fetch(url, init))),
    });
  }

  /** Checks a token and returns who is calling; throws {@link TokenError}. */
  async verify(token: string): Promise<Identity> {
    if (!wellFormed(token)) throw new TokenError(401, "the access token is not valid: not three segments of base64url");
    let payload: JWTPayload;
    try {
      const verified = await jwtVerify(token, this.#keys, {
        algorithms: ["EdDSA", "ES256", "RS256"],
        typ: "at+jwt",
        issuer: this.#issuer,
        audience: this.#audience,
        clockTolerance: leeway,
        requiredClaims: ["exp", "iat", "nbf", "jti", "sub", "sid"],
      });
      // RFC 9068 allows "application/at+jwt" as well, which is never issued and so not taken.
      const { typ, kid, b64 } = verified.protectedHeader;
      if (typ !== "at+jwt" || kid === undefined || b64 !== undefined || !exact(verified.protectedHeader, headerNames))
        throw new TokenError(401, "the access token is not valid: not the header of an access token");
      payload = verified.payload;
    } catch (error) {
      if (error instanceof TokenError) throw error;
      const invalid =
        error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && !(error instanceof errors.JWKSInvalid) && error.code !== "ERR_JOSE_GENERIC";
      if (invalid) throw new TokenError(401, `the access token is not valid: ${error.message}`, { cause: error });
      throw new TokenError(503, "the keys of access tokens cannot be had", { cause: error });
    }
    return identity(payload);
  }

  /**
   * Checks the value of an Authorization header and returns who is calling; throws {@link TokenError}, of which `status` is
   * what to answer. In Express: `await verifier.authenticate(req.headers.authorization)`; with a web Request:
   * `await verifier.authenticate(request.headers.get("authorization"))`.
   */
  async authenticate(authorization: string | null | undefined): Promise<Identity> {
    const token = bearerToken(authorization);
    if (token === undefined) throw new TokenError(401, "the request has no access token");
    return this.verify(token);
  }
}

/** The token in the value of an Authorization header. */
export function bearerToken(authorization: string | null | undefined): string | undefined {
  return /^bearer (.*)$/i.exec(authorization ?? "")?.[1];
}

/** Tokens have one form only: base64url without padding, without bits that do not count. */
function wellFormed(token: string): boolean {
  const segments = token.split(".");
  return (
    token.length <= 4096 &&
    segments.length === 3 &&
    segments.every((s) => /^[\w-]+$/.test(s) && base64url.encode(base64url.decode(s)) === s)
  );
}

function identity(p: JWTPayload): Identity {
  const { sub, sid, jti, exp, iat, nbf, aud, scope = "", role = "" } = p;
  const now = Date.now() / 1000;
  const dates = [exp, iat, nbf].every((date) => Number.isInteger(date) && date! > 0 && date! <= 253_402_300_799);
  const texts = [sub, sid, jti, scope, role].every((text) => typeof text === "string");
  if (!dates || !texts || !uuid.test(sub!) || !uuid.test(sid as string) || jti === "" || !exact(p, claimNames))
    throw new TokenError(401, "the access token is not valid: claims missing, misspelt or malformed");
  if (exp! <= Math.floor(now) || iat! > now + leeway || [aud].flat().includes(""))
    throw new TokenError(401, "the access token is not valid: expired or not yet valid");
  return {
    userId: sub!,
    sessionId: sid as string,
    role: role as UserRole,
    scopes: (scope as string).split(" ").filter(Boolean) as Scope[],
    expiresAt: new Date(exp! * 1000),
  };
}

/** Whether no member is a known one in another case, which another reader of the same token may take for it. */
function exact(members: object, known: string[]): boolean {
  return Object.keys(members).every((name) => known.includes(name) || !known.includes(name.toLowerCase()));
}

/** A fetch of keys that gives the last ones again while the service does not answer. */
function lasting(get: (url: string, init: RequestInit) => Promise<Response>) {
  let last: { text: string; at: number } | undefined;
  return async (url: string, init: RequestInit): Promise<Response> => {
    try {
      const response = await get(url, init);
      if (!response.ok) throw new Error(`${url} answered ${response.status}`);
      last = { text: await response.text(), at: Date.now() };
    } catch (error) {
      if (!last || Date.now() - last.at >= keysUsable) throw error;
    }
    return new Response(last.text, { status: 200 });
  };
}
