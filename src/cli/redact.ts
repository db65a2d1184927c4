/**
 * The last line of defence of the log: whoever writes a fact takes care that it is no secret, and what slips through
 * by its name, or looks like a token, a signed URL, a private key or a password in a URL, is covered here.
 */
const SECRET_NAMES =
  /secret|passw|passphrase|token|authorization|credential|privatekey|keypem|accountkey|^sig$/i;
/** Names that only sound like it: these are digests, names and times. */
const PLAIN_NAMES = /(id|name|sha256|expiresat|expiresatms|expireson|endpoint|url)$/i;
const COVERED = '[redacted]';
const DEPTH_MAX = 6;

export function redact(facts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactObject(facts, 0);
}

export function redactText(text: string): string {
  return text
    .replace(/([?&](?:sig|code|access_token|client_secret)=)[^&\s"']+/gi, `$1${COVERED}`)
    .replace(/\b(Bearer|SharedKey|Basic)\s+[\w.~+/:=-]{8,}/gi, `$1 ${COVERED}`)
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, COVERED)
    .replace(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, COVERED)
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]+:)[^\s@/]+@/gi, `$1${COVERED}@`);
}

function redactObject(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_NAMES.test(name) && !PLAIN_NAMES.test(name) ? COVERED : redactValue(inner, depth + 1),
    ]),
  );
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEPTH_MAX) return '[deep]';
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value;
  if (value instanceof Error) return redactError(value, depth);
  return redactObject(value, depth);
}

/** Of a foreign error only these: an SDK's error carries its whole request, headers and all. */
function redactError(error: Error, depth: number): Record<string, unknown> {
  return {
    type: error.name,
    message: redactText(error.message),
    ...('code' in error ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: redactValue(error.cause, depth + 1) }),
  };
}
