import assert from "node:assert/strict";
import { test } from "node:test";
import { base64url, exportJWK, FlattenedSign, generateKeyPair } from "jose";
import { TokenError, Verifier } from "@authservice/client";

/** Signs what it is told to, and publishes its key; time can be moved. */
async function issuer(t: { mock: { method: typeof import("node:test").mock.method } }) {
  let looks = 0;
  let down = false;
  let ahead = 0;
  let kid = 0;
  let pair = await generateKeyPair("EdDSA");
  const real = Date.now;
  t.mock.method(Date, "now", () => real() + ahead);
  const now = () => Math.floor(Date.now() / 1000);
  const claims = (): Record<string, unknown> => ({
    iss: "https://auth.example.com", aud: ["authservice"], sub: "019ab5c1-2d4f-7c3a-8b1e-5f6a7b8c9d0e", sid: "019ab5c1-2d51-7e08-9c6b-7a8b9c0d1e2f",
    exp: now() + 86_400, iat: now(), nbf: now(), jti: "1", client_id: "authservice", scope: "credits:read users:read", role: "admin",
  });
  const header = (): Record<string, unknown> => ({ alg: "EdDSA", typ: "at+jwt", kid: `key-${kid}` });
  /** A token of texts, whatever they are. */
  const signed = async (head: string, payload: string) => {
    const text = `${base64url.encode(head)}.${base64url.encode(payload)}`;
    const signature = await crypto.subtle.sign("Ed25519", pair.privateKey as CryptoKey, Buffer.from(text));
    return `${text}.${base64url.encode(new Uint8Array(signature))}`;
  };
  return {
    claims, header, signed, now,
    token: (c = claims(), h = header()) => signed(JSON.stringify(h), JSON.stringify(c)),
    rotate: async () => {
      pair = await generateKeyPair("EdDSA");
      kid++;
    },
    looks: () => looks,
    setDown: (is: boolean) => (down = is),
    advance: (ms: number) => (ahead += ms),
    verifier: new Verifier("https://auth.example.com", {
      fetch: async () => {
        looks++;
        if (down) throw new TypeError("fetch failed");
        const jwk = { ...(await exportJWK(pair.publicKey)), kid: `key-${kid}`, use: "sig", alg: "EdDSA" };
        return Response.json({ keys: [jwk] });
      },
    }),
  };
}

const invalid = (error: unknown) => error instanceof TokenError && error.status === 401;

test("a good token says who is calling", async (t) => {
  const i = await issuer(t);
  const { userId, role, scopes } = await i.verifier.verify(await i.token());
  assert.deepEqual({ userId, role, scopes }, { userId: i.claims()["sub"], role: "admin", scopes: ["credits:read", "users:read"] });
});

test("what is none of our business does no harm", async (t) => {
  const i = await issuer(t);
  for (const change of [{ nonce: "x" }, { aud: "authservice" }, { aud: ["other", "authservice"] }, { iat: i.now() + 4 }, { nbf: i.now() + 4 }, { x: { SUB: 1 } }])
    await i.verifier.verify(await i.token({ ...i.claims(), ...change }));
  for (const change of [{ cty: "x" }, { jku: "https://nowhere.invalid/keys" }, { jwk: {} }])
    await i.verifier.verify(await i.token(i.claims(), { ...i.header(), ...change }));
});

test("refuses what the service would refuse", async (t) => {
  const i = await issuer(t);
  const without = (name: string) => {
    const c = i.claims();
    delete c[name];
    return c;
  };
  const good = await i.token();
  const [head, payload, signature] = good.split(".") as [string, string, string];
  const mallory = await issuer(t);
  const tokens: Record<string, string> = {
    Empty: "", Dots: "..", TwoParts: `${head}.${payload}`, FourParts: good + ".", LineEnd: good + "\n", Space: good + " ", Padded: good + "=",
    Loose: good.slice(0, -1) + String.fromCharCode(good.charCodeAt(good.length - 1) + 1),
    None: `${base64url.encode('{"alg":"none","typ":"at+jwt","kid":"key-0"}')}.${payload}.`,
    OtherSignature: `${head}.${payload}.${signature.split("").reverse().join("")}`,
    OtherKey: await mallory.token(),
    TooLong: await i.token({ ...i.claims(), pad: "x".repeat(4096) }),
    NotUTF8: await i.signed(JSON.stringify(i.header()), "\u{d800}"),
  };
  for (const name of ["iss", "aud", "sub", "sid", "exp", "iat", "nbf", "jti"]) tokens[`No_${name}`] = await i.token(without(name));
  const changes: Record<string, object> = {
    Expired: { exp: i.now() }, ExpiredWithinTheLeeway: { exp: i.now() - 3 }, NotYet: { nbf: i.now() + 60 }, OfTheFuture: { iat: i.now() + 60 }, Fraction: { exp: i.now() + 60.5 },
    Negative: { iat: -1 }, FarAway: { exp: 1e15 }, Text: { exp: String(i.now() + 60) }, OtherIssuer: { iss: "https://auth.example.com/" }, OtherAudience: { aud: "other" },
    EmptyAudience: { aud: ["authservice", ""] }, SubUpperCase: { sub: "019AB5C1-2d4f-7c3a-8b1e-5f6a7b8c9d0e" }, SubBare: { sub: "x" }, SidEmpty: { sid: "" },
    JtiEmpty: { jti: "" }, OtherCase: { SUB: "x" }, ScopeList: { scope: ["x"] }, RoleNumber: { role: 1 },
  };
  for (const [name, change] of Object.entries(changes)) tokens[name] = await i.token({ ...i.claims(), ...change });
  const heads: Record<string, object> = {
    TypJWT: { typ: "JWT" }, TypLong: { typ: "application/at+jwt" }, TypUpperCase: { typ: "AT+JWT" }, NoTyp: { typ: undefined }, NoKid: { kid: undefined },
    Crit: { crit: ["exp"] }, B64: { b64: true }, AlgOther: { alg: "ES256" }, AlgSecret: { alg: "HS256" }, AlgCase: { ALG: "EdDSA" },
  };
  for (const [name, change] of Object.entries(heads)) tokens[name] = await i.token(i.claims(), { ...i.header(), ...change });
  for (const [name, token] of Object.entries(tokens)) await assert.rejects(i.verifier.verify(token), invalid, name);
  await i.verifier.verify(good);
});

test("a public key is no secret", async (t) => {
  const i = await issuer(t);
  await i.verifier.verify(await i.token());
  const secret = new TextEncoder().encode("key-0".padEnd(64));
  const jws = await new FlattenedSign(new TextEncoder().encode(JSON.stringify(i.claims()))).setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: "key-0" }).sign(secret);
  await assert.rejects(i.verifier.verify(`${jws.protected}.${jws.payload}.${jws.signature}`), invalid);
});

test("keys are fetched once, and unknown ones looked for once in ten seconds", async (t) => {
  const i = await issuer(t);
  const old = await i.token();
  await Promise.all(Array.from({ length: 50 }, () => i.verifier.verify(old)));
  assert.equal(i.looks(), 1);
  await i.rotate();
  const next = await i.token();
  for (let n = 0; n < 50; n++) await assert.rejects(i.verifier.verify(next), invalid);
  assert.equal(i.looks(), 1);
  i.advance(11_000);
  await i.verifier.verify(next);
  await assert.rejects(i.verifier.verify(old), invalid);
  assert.equal(i.looks(), 2);
});

test("while the service is away its keys are used for an hour", async (t) => {
  const i = await issuer(t);
  i.setDown(true);
  const token = await i.token();
  await assert.rejects(i.verifier.verify(token), { status: 503 });
  i.setDown(false);
  await i.verifier.verify(token);
  i.setDown(true);
  i.advance(3_500_000);
  await i.verifier.verify(token);
  i.advance(200_000);
  const looks = i.looks();
  for (let n = 0; n < 50; n++) await i.verifier.verify(token).catch(() => undefined);
  assert.ok(i.looks() - looks <= 1);
  i.advance(400_000);
  await assert.rejects(i.verifier.verify(token), { status: 503 });
});
