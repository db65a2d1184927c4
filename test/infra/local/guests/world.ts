import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeGraph, type StoredGraph } from '../../../../infra/local/arm/graph.ts';
import type { GuestHost } from '../../../../infra/local/guests/guest-host.ts';
import { makeGuestHost } from '../../../../infra/local/guests/index.ts';
import { freeLoopbackAddress } from '../../../../infra/local/network/loopback.ts';
import { openState } from '../../../../infra/local/state.ts';
import { systemClock } from '../../../../src/clock.ts';
import { silentLog } from '../../../../src/log.ts';

/** A small piece of Azure in the graph: one network, one security group, one VM with a public IP; no ARM around it. */
export interface World {
  readonly folder: string;
  readonly dataFolder: string;
  readonly graph: StoredGraph;
  readonly publicIp: string;
  readonly vmId: string;
  readonly guid: string;
  readonly serialFile: string;
  /** A host like the one that Local Azure makes; several, one after the other, stand for restarts. */
  host(): Promise<GuestHost>;
  allow(name: string, priority: number, port: string, access?: 'Allow' | 'Deny', source?: string): void;
  dropRule(name: string): void;
  addDataDisk(lun: number, file: string): void;
  dropDataDisk(lun: number): void;
  close(): Promise<void>;
}

export interface WorldFacts {
  readonly guest: 'disk' | 'appliance' | 'image';
  readonly generation?: 'V1' | 'V2';
  readonly osDisk?: string;
  readonly userData?: string;
  readonly kind?: 'qemu' | 'none';
}

const GROUP = '/subscriptions/s/resourceGroups/g/providers';
const idOf = (type: string, name: string) => `${GROUP}/${type}/${name}`;

export async function makeWorld(facts: WorldFacts): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'standby-guests-'));
  const [dataFolder, runFolder] = [join(folder, 'data'), join(folder, 'run')];
  for (const made of [dataFolder, runFolder, join(dataFolder, 'disks')]) mkdirSync(made, { recursive: true });
  const state = openState(join(folder, 'state'));
  const graph = makeGraph(state, systemClock);
  const guid = randomUUID();
  const publicIp = freeLoopbackAddress('public', new Set());
  const vmId = idOf('Microsoft.Compute/virtualMachines', 'vm');
  fill(graph, facts, { vmId, guid, publicIp });
  const hosts: GuestHost[] = [];
  const rule = (name: string) =>
    `${idOf('Microsoft.Network/networkSecurityGroups', 'nsg')}/securityRules/${name}`;
  return {
    folder,
    dataFolder,
    graph,
    publicIp,
    vmId,
    guid,
    serialFile: join(dataFolder, 'guests', guid, 'serial.log'),
    async host() {
      const host = await makeGuestHost({
        kind: facts.kind ?? 'qemu',
        graph,
        dataFolder,
        runFolder,
        caFile: '/dev/null',
        clock: systemClock,
        log: silentLog,
      });
      hosts.push(host);
      return host;
    },
    allow(name, priority, port, access = 'Allow', source = '*') {
      graph.insert({
        id: rule(name),
        type: 'Microsoft.Network/networkSecurityGroups/securityRules',
        properties: {
          priority,
          access,
          direction: 'Inbound',
          protocol: 'Tcp',
          sourceAddressPrefix: source,
          sourcePortRange: '*',
          destinationAddressPrefix: '*',
          destinationPortRange: port,
        },
      });
    },
    dropRule: (name) => graph.remove(rule(name)),
    addDataDisk(lun, file) {
      const id = idOf('Microsoft.Compute/disks', `data${lun}`);
      graph.insert({ id, type: 'Microsoft.Compute/disks', location: 'l', hidden: { file } });
      changeDisks(graph, vmId, (disks) => [...disks, { lun, managedDisk: { id } }]);
    },
    dropDataDisk(lun) {
      graph.remove(idOf('Microsoft.Compute/disks', `data${lun}`));
      changeDisks(graph, vmId, (disks) => disks.filter((disk) => disk.lun !== lun));
    },
    async close() {
      await Promise.all(hosts.map((host) => host.stopAll()));
      state.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type DataDisk = { lun: number; managedDisk: { id: string } };

function changeDisks(graph: StoredGraph, vmId: string, change: (disks: DataDisk[]) => DataDisk[]): void {
  graph.update(vmId, (vm) => {
    const profile = vm.properties.storageProfile as { osDisk: never; dataDisks: DataDisk[] };
    vm.properties.storageProfile = { ...profile, dataDisks: change(profile.dataDisks) };
  });
}

function fill(
  graph: StoredGraph,
  facts: WorldFacts,
  { vmId, guid, publicIp }: { vmId: string; guid: string; publicIp: string },
): void {
  const network = idOf('Microsoft.Network/virtualNetworks', 'net');
  const group = idOf('Microsoft.Network/networkSecurityGroups', 'nsg');
  const address = idOf('Microsoft.Network/publicIPAddresses', 'pip');
  const nic = idOf('Microsoft.Network/networkInterfaces', 'nic');
  const osDisk = idOf('Microsoft.Compute/disks', 'os');
  const at = { location: 'l' };
  graph.insert({
    ...at,
    id: network,
    type: 'Microsoft.Network/virtualNetworks',
    properties: { addressSpace: { addressPrefixes: ['10.3.0.0/16'] } },
  });
  graph.insert({
    id: `${network}/subnets/default`,
    type: 'Microsoft.Network/virtualNetworks/subnets',
    properties: { addressPrefix: '10.3.1.0/24' },
  });
  graph.insert({ ...at, id: group, type: 'Microsoft.Network/networkSecurityGroups' });
  graph.insert({
    ...at,
    id: address,
    type: 'Microsoft.Network/publicIPAddresses',
    properties: { ipAddress: publicIp },
  });
  graph.insert({
    ...at,
    id: nic,
    type: 'Microsoft.Network/networkInterfaces',
    hidden: { machineId: vmId, primary: true },
    properties: {
      networkSecurityGroup: { id: group },
      ipConfigurations: [
        {
          name: 'main',
          id: `${nic}/ipConfigurations/main`,
          properties: {
            privateIPAddress: '10.3.1.9',
            subnet: { id: `${network}/subnets/default` },
            publicIPAddress: { id: address },
          },
        },
      ],
    },
  });
  graph.insert({
    ...at,
    id: osDisk,
    type: 'Microsoft.Compute/disks',
    hidden: { file: facts.osDisk ?? 'disks/os.raw' },
  });
  graph.insert({
    ...at,
    id: vmId,
    type: 'Microsoft.Compute/virtualMachines',
    properties: {
      vmId: guid,
      storageProfile: { osDisk: { managedDisk: { id: osDisk } }, dataDisks: [] },
      networkProfile: { networkInterfaces: [{ id: nic }] },
    },
    hidden: {
      guest: facts.guest,
      generation: facts.generation ?? 'V1',
      power: 'running',
      ...(facts.userData === undefined ? {} : { customData: Buffer.from(facts.userData).toString('base64') }),
    },
  });
}

/** Looks until it is so; fails with what was last found. */
export async function until<T>(
  look: () => T | Promise<T>,
  isSo: (found: T) => boolean,
  withinMs = 10_000,
): Promise<T> {
  const end = systemClock.now() + withinMs;
  for (;;) {
    const found = await look();
    if (isSo(found)) return found;
    if (systemClock.now() > end)
      throw new Error(`Not so within ${withinMs} ms; last found: ${String(found)}`);
    await systemClock.sleep(30);
  }
}

/** One HTTP request as plain text; what became of it otherwise, in a word. */
export function ask(address: string, port: number, path = '/', timeoutMs = 1500): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    let text = '';
    socket.setTimeout(timeoutMs, () => {
      socket.destroy();
      resolve(text === '' ? 'timeout' : text);
    });
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`GET ${path} HTTP/1.0\r\n\r\n`));
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(text === '' ? (error.code ?? 'error') : text),
    );
    socket.on('close', () => resolve(text === '' ? 'closed' : text));
  });
}
