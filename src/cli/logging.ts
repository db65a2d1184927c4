import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import pino from 'pino';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import { redact, redactText } from './redact.ts';
import { turningFile } from './turning-file.ts';

/** pino writes JSON lines; destinations are synchronous so that a process that is killed leaves what it wrote. */
export function standardErrorLog(config: Pick<Config, 'logLevel'>): Log {
  return logOf(pino({ level: config.logLevel, base: undefined }, pino.destination({ fd: 2, sync: true })));
}

export function fileLog(file: string, config: Pick<Config, 'logLevel'>): Log {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const destination = pino.destination({ dest: file, sync: true, append: true, mode: 0o600 });
  return logOf(pino({ level: config.logLevel }, destination));
}

/** For a service whose standard error nobody keeps. */
export function turningLog(file: string, config: Pick<Config, 'logLevel'>): Log {
  return logOf(pino({ level: config.logLevel, base: undefined }, turningFile(file)));
}

function logOf(logger: pino.Logger): Log {
  return {
    debug: (text, facts) => logger.debug(redact(facts ?? {}), redactText(text)),
    info: (text, facts) => logger.info(redact(facts ?? {}), redactText(text)),
    warn: (text, facts) => logger.warn(redact(facts ?? {}), redactText(text)),
    error: (text, facts) => logger.error(redact(facts ?? {}), redactText(text)),
  };
}
