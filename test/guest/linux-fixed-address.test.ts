import { rm } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import { makeFolder } from '../fixtures/engines.ts';
import { linuxDisk } from './linux-disk.ts';
import { deviceOf } from './volumes.ts';

it.each([
  [
    'eth0',
    /the standby keeps the fixed address/,
    /nothing of Standby changes it.*give the scenario this address/,
  ],
  ['eth1', /the address is given to the NIC in Azure/, /the scenario keeps the address/],
])('a fixed address on %s is told with what it means in Azure', async (name, expected, cure) => {
  const folder = await makeFolder();
  try {
    const interfaces = `iface ${name} inet static\n  address 10.0.0.5/24\niface eth9 inet dhcp\n`;
    const disk = linuxDisk(folder, { files: { 'etc/network/interfaces': interfaces } });
    const { verdicts } = await readReadiness(deviceOf(disk));
    const found = verdicts.find(({ code }) => code === 'DHCP');
    expect(found).toMatchObject({ status: 'warning', next: expect.stringMatching(cure) });
    expect(found?.expected).toMatch(expected);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
