import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import type { HealthCheck } from '../../src/model/scenario.ts';
import type { StepContext } from '../../src/plan/plan.ts';
import { readSerialSigns } from '../../src/switchover/serial-console.ts';
import { type BootProof, proveBootStep } from '../../src/switchover/steps/prove-boot.ts';
import type { Work } from '../../src/switchover/work.ts';
import { Bench } from '../fakes/bench.ts';
import { APPLIANCE_VM_ID } from '../fakes/fake-cloud.ts';
import { scenario } from '../fakes/scene.ts';

const SEABIOS = 'SeaBIOS (version 1.16.2-debian)\r\nBooting from Hard Disk...\r\n';
const KERNEL = `${SEABIOS}GRUB-OK\r\n[    0.000000] Linux version 6.1.0\r\nlogin: `;

const benches: Bench[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** The step alone, on a VM that runs; `serial` gives the console at each look. */
async function prove(
  serial: (look: number) => string | undefined,
  change: Partial<Work> = {},
): Promise<BootProof> {
  const bench = await Bench.open();
  benches.push(bench);
  let look = 0;
  const { cloud } = bench.fake;
  const machines = { ...cloud.machines, serialLog: async () => serial(look++) };
  const work = { ...bench.work('run-1'), cloud: { ...cloud, machines }, ...change };
  const step = proveBootStep(work, { addressOf: async () => '127.0.0.1' });
  const running = { vmId: APPLIANCE_VM_ID, power: 'running', runningAtMs: work.clock.now(), serialBefore: 0 };
  const context = { signal: new AbortController().signal, output: () => running, progress: () => undefined };
  return step.run(context as unknown as StepContext);
}

const codes = (proof: BootProof) => proof.verdicts.map((one) => `${one.status} ${one.code}`);
const withHealth = (...healthChecks: HealthCheck[]) => ({
  scenario: scenario({ healthChecks }),
  patience: { bootMs: 30_000 },
});

async function answering(status: number, afterCalls = 0): Promise<number> {
  let calls = 0;
  const server = createServer((_request, response) => {
    response.statusCode = calls++ < afterCalls ? 503 : status;
    response.end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('the boot proof', () => {
  it('is not proven, and does not fail, where the account may not read the console', async () => {
    const refused = new StandbyError({ code: 'AuthorizationFailed', what: 'Not allowed.' });
    const proof = await prove(() => {
      throw refused;
    });
    expect(proof.outcome).toBe('not-proven');
    expect(codes(proof)).toEqual(['ok POWER_RUNNING', 'skipped SERIAL_NOT_ALLOWED']);
  });

  it('is proven by a console that says something that is not the firmware', async () => {
    const proof = await prove((look) => [undefined, SEABIOS, SEABIOS, KERNEL][Math.min(look, 3)]);
    expect(proof.outcome).toBe('proven');
    expect(codes(proof)).toEqual(['ok POWER_RUNNING', 'ok SERIAL_ALIVE']);
  });

  it('fails when the firmware finds nothing to boot', async () => {
    const failed = prove(() => `${SEABIOS}Boot failed: not a bootable disk\r\n\r\nNo bootable device.\r\n`);
    await expect(failed).rejects.toMatchObject({
      code: 'BOOT_NOT_PROVEN',
      why: expect.stringContaining('No bootable'),
    });
  });

  it('fails on a kernel that panics after it had spoken', async () => {
    const panic = `${KERNEL}\r\n[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n`;
    await expect(prove(() => panic)).rejects.toMatchObject({ code: 'BOOT_NOT_PROVEN' });
  });

  it('calls a silent console neither passed nor failed', async () => {
    const proof = await prove(() => '');
    expect(proof.outcome).toBe('not-proven');
    expect(codes(proof)).toEqual(['ok POWER_RUNNING', 'warning SERIAL_SILENT']);
  });

  it('is skipped at once, with its health checks, where guests are off', async () => {
    const change = withHealth({ kind: 'tcp', port: 9 });
    const proof = await prove(() => 'boot skipped: guests are off (--guests none)\n', change);
    expect(proof.outcome).toBe('skipped');
    expect(codes(proof)).toEqual(['ok POWER_RUNNING', 'skipped BOOT_SKIPPED', 'skipped HEALTH_SKIPPED']);
  });

  it('waits until a named health check answers, and then a silent console does not matter', async () => {
    const port = await answering(204, 2);
    const checks = withHealth(
      { kind: 'http', port, path: '/ready', expectStatus: 204 },
      { kind: 'tcp', port },
    );
    const proof = await prove(() => '', checks);
    expect(proof.outcome).toBe('proven');
    expect(codes(proof)).toEqual([
      'ok POWER_RUNNING',
      'skipped SERIAL_SILENT',
      'ok HEALTH_OK',
      'ok HEALTH_OK',
    ]);
  });

  it('fails when a named health check gives another answer until patience ends, however lively the console', async () => {
    const port = await answering(500);
    const checks = withHealth({ kind: 'http', port, path: '/', expectStatus: 200 });
    await expect(prove(() => KERNEL, checks)).rejects.toMatchObject({
      code: 'BOOT_NOT_PROVEN',
      why: expect.stringContaining('answers 500'),
    });
  });

  it('names the emergency in which a lively console ends while a health check waits for its answer', async () => {
    const emergency = `${KERNEL}\r\nYou are in emergency mode. The root account is locked.\r\n`;
    const checks = withHealth({ kind: 'tcp', port: 1 });
    await expect(prove((look) => (look < 3 ? KERNEL : emergency), checks)).rejects.toMatchObject({
      code: 'BOOT_NOT_PROVEN',
      why: expect.stringContaining('emergency mode'),
    });
  });

  it('can be accepted by the operator though it failed, and says so', async () => {
    const change = { ...withHealth({ kind: 'tcp', port: 1 }), acceptUnprovenBoot: true };
    const proof = await prove(() => KERNEL, change);
    expect(proof.outcome).toBe('failed-but-accepted');
    expect(codes(proof)).toContain('error HEALTH_MISSING');
  });
});

describe('signs on a serial console', () => {
  it('are not the firmware’s own lines, escape sequences or noise', () => {
    const noise = `\u001b[2J\u001b[01;01H${SEABIOS}iPXE (http://ipxe.org)\r\nPress F12 for boot menu.\r\n\u0000\u0007..\r\n`;
    expect(readSerialSigns(noise)).toEqual({ lines: 0, lastLine: undefined, fault: undefined });
    const uefi =
      'BdsDxe: loading Boot0001 "UEFI Misc Device"\r\nBdsDxe: starting Boot0001 "UEFI Misc Device"\r\n';
    expect(readSerialSigns(uefi).lines).toBe(0);
    // As OVMF begins; read at any moment of its writing.
    const begun = `${noise}\u001b[2J\u001b[01;01H\u001b[=3h\u001b[2J\u001b[01;01H\u001b[=3h${uefi}`;
    for (let end = 0; end <= begun.length; end++)
      expect([end, readSerialSigns(begun.slice(0, end)).lines]).toEqual([end, 0]);
  });

  it('name the fault that was said last', () => {
    expect(readSerialSigns('error: no such device: x\r\ngrub rescue> ').fault).toBe('grub rescue>');
    const uefi =
      'BdsDxe: failed to load Boot0001 "UEFI DVD": Not Found\r\nBdsDxe: No bootable option was found.\r\n';
    expect(readSerialSigns(uefi).fault).toContain('No bootable option');
  });

  it('are those of an emergency as systemd tells it, before and after its names became those of units', () => {
    const old = '[\u001b[0;32m  OK  \u001b[0m] Reached target \u001b[0;1;39mEmergency Mode\u001b[0m.\r\n';
    const now =
      '[\u001b[0;32m  OK  \u001b[0m] Reached target \u001b[0;1;39memergency.target\u001b[0m - Emergency Mode.\r\n';
    for (const line of [old, now]) expect(readSerialSigns(KERNEL + line).fault).toContain('Reached target');
  });

  it('are those of a guest when only an earlier try has failed, but never after a panic', () => {
    const secondTry =
      'BdsDxe: failed to load Boot0001 "UEFI DVD": Not Found\r\nBdsDxe: starting Boot0002\r\n';
    expect(readSerialSigns(secondTry + KERNEL).fault).toBeUndefined();
    expect(readSerialSigns(KERNEL).fault).toBeUndefined();
    expect(readSerialSigns(`${KERNEL}\r\nKernel panic - not syncing\r\nCall Trace: x`).fault).toContain(
      'panic',
    );
  });
});
