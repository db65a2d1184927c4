import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalEndpoint } from '../../infra/local/local-azure.ts';
import { findPostgres, type PostgresServer, startPostgres } from '../fixtures/postgres-server.ts';
import { clientsOf, collect } from '../infra/local/local-subscription.ts';
import { type Document, type Lodging, makeLodging, type Place, run, start, until } from './commands.ts';
import { makeTinyServer } from './tiny-server.ts';

/**
 * Two control machines on one PostgreSQL store, through the public commands. A is stopped (SIGSTOP) in the middle of a
 * switchover; B takes over when A's lease has run out, and finishes; A wakes up, is told so, and changes nothing more. Then the
 * backup that the switchover asked for is carried out by a process of its own.
 */
const bin = findPostgres();
const isMissing = bin === undefined && process.env.CI === undefined;

describe.skipIf(isMissing)(`Two control machines${isMissing ? ' (PostgreSQL is not installed)' : ''}`, () => {
  let server: PostgresServer;
  let lodging: Lodging;
  let a: Place;
  let b: Place;
  let endpoint: LocalEndpoint;

  beforeAll(async () => {
    if (bin === undefined) throw new Error('PostgreSQL server programs are missing: run bin/setup.cjs test');
    server = await startPostgres(bin);
    lodging = makeLodging();
    const environment = {
      ...lodging.environment,
      STANDBY_STORE: server.url,
      STANDBY_PASSPHRASE: 'correct horse battery staple',
    };
    a = { home: join(lodging.home, 'a'), environment };
    b = { home: join(lodging.home, 'b'), environment };
    makeTinyServer(join(lodging.home, 'server.img'), 64);
    await run(['local', 'up', '--latency', 'none'], a);
    endpoint = JSON.parse(readFileSync(join(a.home, 'local-azure/endpoint.json'), 'utf8'));
  });
  afterAll(async () => {
    try {
      await run(['local', 'down'], a);
    } finally {
      lodging.remove();
      await server.stop();
    }
  });

  /** A scenario that is copied, with a program of its user's that stands still as long as `hold` is there. */
  async function prepare(): Promise<void> {
    const { url, authorityUrl, caFile, subscriptionId, tenantId, applicationId, clientSecret } = endpoint;
    await run(
      [
        ...['account', 'add', '--yes', '--name', 'ops@example.com', '--environment', 'custom'],
        ...['--resource-manager-url', url, '--authority-url', authorityUrl, '--ca-file', caFile],
        ...['--subscription-id', subscriptionId, '--tenant-id', tenantId],
        ...['--application-id', applicationId, '--client-secret-stdin'],
      ],
      { ...a, input: clientSecret },
    );
    await run(
      [
        ...['appliance', 'deploy', '--yes', '--name', 'gate', '--account', 'ops@example.com'],
        ...['--region', endpoint.location, '--resource-group', 'rg', '--virtual-network', 'new'],
      ],
      a,
    );
    await run(['appliance', 'open-port', 'gate', '--source-prefix', '127.0.0.1/32', '--yes'], a);
    await run(['appliance', 'check', 'gate'], a);
    const { token } = await run(['master', 'token', '--appliance', 'gate'], a);
    const master: Place = { ...lodging, home: join(lodging.home, 'master') };
    const joining = start(
      ['master', 'join', '-', '--disk', join(lodging.home, 'server.img'), '--host-name', 'web01'],
      { ...master, input: String(token) },
    );
    await joining.says('Waiting for control');
    await run(['master', 'list'], a);
    expect((await joining.ended).exitCode).toBe(0);
    start(['engine', 'master'], master);
    await run(
      [
        ...[
          'scenario',
          'create',
          '--yes',
          '--name',
          'web',
          '--purpose',
          'dr',
          '--account',
          'ops@example.com',
        ],
        ...[
          '--master',
          'web01',
          '--region',
          endpoint.location,
          '--appliance',
          'gate',
          '--capture',
          'at-rest',
        ],
        ...['--resource-group', 'rg', '--vm-name', 'web-vm', '--vm-size', 'Standard_B2s'],
        ...['--disk-type', 'StandardSSD_LRS', '--health-check', 'none', '--address', 'dynamic'],
        ...['--virtual-network', 'rg/gate-vnet', '--subnet', 'standby', '--security-group', 'none'],
        ...[
          '--public-ip',
          'yes',
          '--scripts',
          `after-build=${program()}`,
          '--backup-after-switchover',
          'yes',
        ],
      ],
      a,
    );
    await run(['run', 'web'], a);
  }

  const hold = () => join(lodging.home, 'hold');
  const began = () => join(lodging.home, 'began');
  function program(): string {
    const file = join(lodging.home, 'program.sh');
    writeFileSync(hold(), '');
    writeFileSync(
      file,
      `#!/bin/sh\nmkdir ${began()} || exit 0\nwhile [ -e ${hold()} ]; do sleep 0.1; done\n`,
    );
    chmodSync(file, 0o755);
    return file;
  }

  /** Every resource with its tags. */
  async function world(): Promise<readonly string[]> {
    const { resources } = clientsOf(endpoint);
    const found = await collect(resources.resources.listByResourceGroup('rg'));
    return found.map(({ id, tags }) => `${id} ${JSON.stringify(tags)}`).sort();
  }

  const isBackup = (line: string) => line.includes('"standby-role":"backup"');
  const state = async (place: Place) => (await run(['status', 'web'], place)) as Document;

  it('B finishes what A began, A coming back changes nothing, and the backup is taken beside it', async () => {
    await prepare();
    const switching = start(['switchover', 'web', '--yes'], { ...a, group: true });
    await until('the program runs', () => existsSync(began()), 60_000);
    switching.kill('SIGSTOP');
    const { runs } = (await run(['runs', '--unfinished'], b)) as unknown as { runs: { id: string }[] };
    expect(runs).toHaveLength(1);
    expect(await run(['resume', runs[0]?.id ?? ''], b)).toMatchObject({ status: 'done' });
    const backups = async () =>
      ((await run(['backup', 'list', 'web'], b)) as unknown as { backups: { state: string }[] }).backups;
    await until('the backup is complete', async () => (await backups())[0]?.state === 'complete', 60_000);
    const after = await world();
    const status = await state(b);
    expect(status).toMatchObject({ state: 'switched-over' });

    rmSync(hold());
    switching.kill('SIGCONT');
    const ended = await switching.ended;
    expect([ended.exitCode, ended.document]).toMatchObject([1, { error: { code: 'LEASE_LOST' } }]);
    expect(await world()).toEqual(after);
    expect(await state(b)).toEqual(status);
    expect(after.filter(isBackup)).toHaveLength(1);
    expect(await backups()).toHaveLength(1);
    await run(['backup', 'remove', 'web', '--all', '--yes'], b);
    expect(await world()).toEqual(after.filter((line) => !isBackup(line)));
  }, 600_000);
});
