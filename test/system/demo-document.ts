import { expect } from 'vitest';

const SHA256 = /^[0-9a-f]{64}$/;

const LIVE = {
  rows: {
    acknowledged: expect.any(Number),
    received: expect.any(Number),
    onStandby: expect.any(Number),
    lost: 0,
  },
  rpoSeconds: expect.any(Number),
};

/** What `standby demo --json` ends with: these keys and no others. */
export function demoDocument(firmware: 'bios' | 'uefi', capture: 'nbd' | 'at-rest') {
  return {
    ...(capture === 'nbd' ? LIVE : {}),
    ok: true,
    firmware,
    diskBytes: 1024 ** 3,
    copiedBytes: expect.any(Number),
    copySeconds: expect.any(Number),
    copyMibPerSecond: expect.any(Number),
    switchoverSeconds: expect.any(Number),
    bootSeconds: expect.any(Number),
    standby: {
      vmId: expect.stringMatching(/\/providers\/Microsoft\.Compute\/virtualMachines\/standby01$/),
      publicIp: expect.stringMatching(/^127\.\d+\.\d+\.\d+$/),
      url: expect.stringMatching(/^http:\/\/127\..*\/proof\.bin$/),
      sha256: expect.stringMatching(SHA256),
    },
    master: { sha256: expect.stringMatching(SHA256) },
  };
}
