import { expect, it } from 'vitest';
import { captureMethod, captureMethods } from '../../src/capture/index.ts';
import { CAPTURE_NAMES } from '../../src/model/capture.ts';
import { captureSuite } from '../contract/capture.suite.ts';

for (const method of captureMethods) captureSuite(method);

it('every capture name of the model has its method, and an unknown one is refused', () => {
  expect(captureMethods.map((method) => method.name).sort()).toEqual([...CAPTURE_NAMES].sort());
  expect(() => captureMethod('telepathy')).toThrow(/no capture method/);
});
