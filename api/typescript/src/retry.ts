/**
 * How often and when a request is tried again.
 *
 * Tried again is what the service refused for the moment (429, 503), after the time that it asks for. A request whose
 * answer was lost, or that got an answer of a proxy (502, 504), is tried again only if that does no harm: if it reads,
 * or has an Idempotency-Key. Rarely a 503 stands for something that was done all the same; so what would then be done
 * twice, such as the rotation of an API key, is not tried again either. Waits grow from `minWait`, doubling, and are
 * drawn at random between half and all of that, so that clients do not return in step.
 */
export interface Retries {
  /** How often a request is sent at the most; 6 by default, 1 for no retries. */
  attempts?: number;
  /** The longest wait before the second attempt, in milliseconds; 200 by default. */
  minWait?: number;
  /**
   * The longest wait, in milliseconds; 10,000 by default. Where the service asks for more, its refusal is returned at
   * once.
   */
  maxWait?: number;
}

/** How long to wait before the next attempt, in milliseconds, or undefined if there should be none. */
export function waitBefore(
  retries: Retries,
  attempts: number,
  harm: Harm,
  outcome: { response: Response } | { error: unknown },
): number | undefined {
  const { attempts: most = 6, minWait = 200, maxWait = 10_000 } = retries;
  if (attempts >= most || !again(harm, outcome)) return undefined;
  const wait = Math.min(maxWait, minWait * 2 ** (attempts - 1));
  const drawn = wait / 2 + (Math.random() * wait) / 2;
  const asked = "response" in outcome ? retryAfter(outcome.response) : 0;
  return asked > maxWait ? undefined : asked + drawn;
}

/**
 * What comes of sending a request again that was carried out already: the same answer, another one (such as that the
 * account exists), or something done twice.
 */
export type Harm = "none" | "confuses" | "harms";

function again(harm: Harm, outcome: { response: Response } | { error: unknown }): boolean {
  if (!("response" in outcome)) return harm === "none" || unsent(outcome.error);
  switch (outcome.response.status) {
    case 429:
      return true;
    case 503:
      return harm !== "harms";
    case 502:
    case 504:
      return harm === "none";
    default:
      return false;
  }
}

/** Whether nothing was sent. Node tells; browsers do not. */
function unsent(error: unknown): boolean {
  const cause = (error as { cause?: { code?: unknown } } | undefined)?.cause;
  return ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "UND_ERR_CONNECT_TIMEOUT"].includes(String(cause?.code));
}

/** How long a response asks to wait (RFC 9110, section 10.2.3), in milliseconds. */
export function retryAfter(response: Response): number {
  const text = response.headers.get("Retry-After");
  if (text === null) return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}

/** Waits, unless the signal ends that. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
