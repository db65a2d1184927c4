/**
 * What a daemon or a use case writes down for later. People's text goes through the Host, not here.
 * The implementation (pino) is made in main.ts; tests pass `silentLog`.
 */
export interface Log {
  debug(text: string, facts?: Readonly<Record<string, unknown>>): void;
  info(text: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(text: string, facts?: Readonly<Record<string, unknown>>): void;
  error(text: string, facts?: Readonly<Record<string, unknown>>): void;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
