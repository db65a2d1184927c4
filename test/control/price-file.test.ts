import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { priceTable } from '../../src/control/price-file.ts';
import { cost } from '../../src/verify/checks/cost.ts';
import { LIST_PRICES } from '../../src/verify/prices.ts';
import { verifyScenario } from '../../src/verify/verify.ts';
import { inventory } from '../fakes/scene.ts';
import { facts, withVm } from '../verify/planted-facts.ts';

let homeFolder: string;
beforeEach(() => {
  homeFolder = mkdtempSync(join(tmpdir(), 'standby-prices-'));
});
afterEach(() => rmSync(homeFolder, { recursive: true, force: true }));

/** As docs/VERIFY.md shows it. */
function shownTable(): string {
  const page = readFileSync('docs/VERIFY.md', 'utf8').replaceAll('\n', '');
  return /\{"date":.*?"publicIpHour":[\d.]+\}/.exec(page)?.[0] ?? 'no table on the page';
}

const written = (name: string, text: string): string => {
  const file = join(homeFolder, name);
  writeFileSync(file, text);
  return file;
};

describe('the price table', () => {
  it('is ours, or the file in the home folder, or the one that is named', async () => {
    expect(await priceTable({ homeFolder })).toBe(LIST_PRICES);
    written('prices.json', shownTable());
    expect(await priceTable({ homeFolder })).toMatchObject({ date: '2030-01-31', currency: 'EUR' });
    const pricesFile = written('mine.json', shownTable().replace('EUR', 'JPY'));
    expect(await priceTable({ homeFolder, pricesFile })).toMatchObject({ currency: 'JPY' });
  });

  it.each([
    ['{', /cannot be used/],
    [shownTable().replace('"EUR"', '7'), /currency/],
    [shownTable().replace('0.1}', '-1}'), /machineHour/],
  ])('that cannot be used is refused and not ours taken instead: %s', async (text, why) => {
    written('prices.json', text);
    await expect(priceTable({ homeFolder })).rejects.toMatchObject({
      ...{ code: 'PRICES_UNREADABLE', kind: 'input' },
      what: expect.stringMatching(why),
    });
  });

  it('that is named and not there is refused', async () => {
    const pricesFile = join(homeFolder, 'nowhere.json');
    await expect(priceTable({ homeFolder, pricesFile })).rejects.toMatchObject({ code: 'PRICES_UNREADABLE' });
  });
});

describe('the estimate', () => {
  const found = async (change: Parameters<typeof facts>[0]) =>
    (await verifyScenario(facts({ prices: JSON.parse(shownTable()), ...change }), [cost])).map(
      (one) => `${one.status} ${one.found}`,
    );

  it('counts the machine, its public address and its disks by the hour, and the replica by the month', async () => {
    // 0.1 + one address 0.005 + 4 GiB at 0.08 a month of 730 hours; the replica's 4 GiB at 0.08
    expect(await found({})).toEqual([
      'ok once started about EUR 0.11 an hour (list prices of 2030-01-31, an estimate)',
      'ok about EUR 0.32 a month for the replica disks (list prices of 2030-01-31, an estimate)',
    ]);
  });

  it('counts Windows by the vCPU, and says of what it knows no price', async () => {
    const os = { family: 'windows', name: 'Windows Server 2022' } as const;
    const [hourly] = await found({ inventory: inventory({ os }) });
    expect(hourly).toContain('EUR 0.21 an hour'); // two vCPUs at 0.05 more
    const premium = await found({ scenario: withVm({ diskType: 'Premium_LRS' }) });
    expect(premium[0]).toBe('skipped no price for Standard_D2s_v5 with Premium_LRS');
    expect(premium[1]).toContain('ok about EUR 0.32 a month');
  });
});
