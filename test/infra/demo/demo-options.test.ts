import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { DemoCall } from '../../../infra/demo/call.ts';
import { runDemo } from '../../../infra/demo/demo.ts';

it.each([
  [{ story: 'flood' }, 'The demo has no story "flood".'],
  [{ story: 'outage', capture: 'at-rest' }, 'An outage is that of a running server.'],
  [{ capture: 'film' }, 'The demo cannot capture with "film".'],
  [{ firmware: 'coreboot' }, 'The demo\'s server cannot boot by "coreboot".'],
])('the demo refuses %j before it makes anything', async (options, what) => {
  const homeFolder = mkdtempSync(join(tmpdir(), 'standby-test-'));
  try {
    const call = { args: [], options, homeFolder } as unknown as DemoCall;
    await expect(runDemo(call)).rejects.toMatchObject({ code: 'USAGE', kind: 'input', what });
    expect(readdirSync(homeFolder)).toEqual([]);
  } finally {
    rmSync(homeFolder, { recursive: true });
  }
});
