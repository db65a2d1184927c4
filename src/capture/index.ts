import { inputError } from '../errors.ts';
import { atRest } from './at-rest.ts';
import type { CaptureMethod } from './capture.ts';
import { compare } from './compare.ts';
import { nbd } from './nbd.ts';
import { tracked } from './tracked.ts';

/** Every capture method there is. To add one: write its file and add it here and to src/model/capture.ts. */
export const captureMethods: readonly CaptureMethod[] = [atRest, nbd, compare, tracked];

export function captureMethod(name: string): CaptureMethod {
  const method = captureMethods.find((candidate) => candidate.name === name);
  if (!method) throw inputError('CAPTURE_UNKNOWN', `There is no capture method ${name}.`);
  return method;
}
