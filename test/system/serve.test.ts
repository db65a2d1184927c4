import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Lodging, makeLodging, start } from './commands.ts';

let lodging: Lodging;
beforeEach(() => {
  lodging = makeLodging();
});
afterEach(() => lodging.remove());

const watching = (document: { readonly text?: unknown }) => /^Watching/.test(String(document.text));
const waiting = (document: { readonly text?: unknown }) =>
  /^Another process watches/.test(String(document.text));

it('one serve leads and another waits; killed with -9 it is followed, and asked to stop it ends with 0', async () => {
  const first = start(['serve'], lodging);
  await first.prints(watching);
  const second = start(['serve'], lodging);
  await second.prints(waiting);
  first.kill('SIGKILL');
  expect((await first.ended).signal).toBe('SIGKILL');
  await second.prints(watching);
  const third = start(['serve'], lodging);
  await third.prints(waiting);
  // Also one that only waits ends when it is asked to.
  third.kill('SIGTERM');
  expect(await third.ended).toMatchObject({ exitCode: 0, document: { ended: 'asked' } });
  second.kill('SIGINT');
  expect(await second.ended).toMatchObject({ exitCode: 0, document: { ended: 'asked' } });
  const { exitCode, document } = await start(['serve', '--once'], lodging).ended;
  expect([exitCode, document]).toEqual([0, { ended: 'once' }]);
  expect(lodging.leftovers().processes).toEqual([]);
});
