/**
 * The virtual machine sizes Local Azure knows. Written on 2026-11-21 after Microsoft's size documentation; the numbers
 * are those that matter for placing a VM (vCPUs, memory, data disks, NICs, generation, premium storage, zones,
 * controllers), not prices or speeds. Some sizes are restricted on purpose, so that a check for it can be tried:
 * `Standard_NC6s_v3` in every region (type Location), `Standard_E8s_v5` in zone 3 (type Zone), and `Standard_L8s_v3`
 * is not offered in `northeurope` at all.
 */
export interface VmSize {
  readonly name: string;
  readonly family: string;
  readonly familyTitle: string;
  readonly vCpus: number;
  readonly memoryGib: number;
  readonly dataDisksMax: number;
  readonly nicsMax: number;
  readonly generations: readonly ('V1' | 'V2')[];
  readonly premium: boolean;
  readonly zones: readonly string[];
  readonly architecture: 'x64' | 'Arm64';
  readonly controllers: readonly ('SCSI' | 'NVMe')[];
  /** Regions that do not offer it at all. */
  readonly absentIn: readonly string[];
  readonly restriction?: 'location' | { readonly zones: readonly string[] };
}

type Traits = Partial<
  Pick<
    VmSize,
    'generations' | 'premium' | 'zones' | 'architecture' | 'controllers' | 'absentIn' | 'restriction'
  >
>;
type Row = readonly [
  name: string,
  vCpus: number,
  memoryGib: number,
  dataDisksMax: number,
  nicsMax: number,
  traits?: Traits,
];

function family(name: string, title: string, traits: Traits, rows: readonly Row[]): VmSize[] {
  return rows.map(([size, vCpus, memoryGib, dataDisksMax, nicsMax, own]) => ({
    name: size,
    family: name,
    familyTitle: title,
    vCpus,
    memoryGib,
    dataDisksMax,
    nicsMax,
    generations: ['V1', 'V2'],
    premium: true,
    zones: ['1', '2', '3'],
    architecture: 'x64',
    controllers: ['SCSI'],
    absentIn: [],
    ...traits,
    ...own,
  }));
}

const BOTH: Traits = { controllers: ['SCSI', 'NVMe'] };

export const VM_SIZES: readonly VmSize[] = [
  ...family('standardAv2Family', 'Standard Av2 Family vCPUs', { generations: ['V1'], premium: false }, [
    ['Standard_A1_v2', 1, 2, 2, 2],
    ['Standard_A2_v2', 2, 4, 4, 2],
    ['Standard_A4_v2', 4, 8, 8, 4],
  ]),
  ...family('standardBSFamily', 'Standard BS Family vCPUs', {}, [
    ['Standard_B1s', 1, 1, 2, 2],
    ['Standard_B1ms', 1, 2, 2, 2],
    ['Standard_B2s', 2, 4, 4, 3],
    ['Standard_B2ms', 2, 8, 4, 3],
    ['Standard_B4ms', 4, 16, 8, 4],
  ]),
  ...family('standardBsv2Family', 'Standard Bsv2 Family vCPUs', {}, [
    ['Standard_B2s_v2', 2, 8, 4, 2],
    ['Standard_B4s_v2', 4, 16, 8, 2],
  ]),
  ...family('standardDSv2Family', 'Standard DSv2 Family vCPUs', {}, [
    ['Standard_DS1_v2', 1, 3.5, 4, 2],
    ['Standard_DS2_v2', 2, 7, 8, 2],
  ]),
  ...family('standardDv3Family', 'Standard Dv3 Family vCPUs', { generations: ['V1'], premium: false }, [
    ['Standard_D2_v3', 2, 8, 4, 2],
  ]),
  ...family('standardDSv3Family', 'Standard DSv3 Family vCPUs', {}, [
    ['Standard_D2s_v3', 2, 8, 4, 2],
    ['Standard_D4s_v3', 4, 16, 8, 2],
  ]),
  ...family('standardDSv5Family', 'Standard DSv5 Family vCPUs', BOTH, [
    ['Standard_D2s_v5', 2, 8, 4, 2],
    ['Standard_D4s_v5', 4, 16, 8, 2],
    ['Standard_D8s_v5', 8, 32, 16, 4],
    ['Standard_D16s_v5', 16, 64, 32, 8],
    ['Standard_D32s_v5', 32, 128, 32, 8],
  ]),
  ...family('standardDASv5Family', 'Standard DASv5 Family vCPUs', {}, [
    ['Standard_D2as_v5', 2, 8, 4, 2],
    ['Standard_D4as_v5', 4, 16, 8, 2],
  ]),
  ...family(
    'StandardDsv6Family',
    'Standard Dsv6 Family vCPUs',
    { generations: ['V2'], controllers: ['NVMe'] },
    [
      ['Standard_D2s_v6', 2, 8, 8, 2],
      ['Standard_D4s_v6', 4, 16, 12, 2],
    ],
  ),
  ...family(
    'standardDPSv5Family',
    'Standard DPSv5 Family vCPUs',
    { generations: ['V2'], architecture: 'Arm64' },
    [['Standard_D2ps_v5', 2, 8, 4, 2]],
  ),
  ...family('standardESv5Family', 'Standard ESv5 Family vCPUs', BOTH, [
    ['Standard_E2s_v5', 2, 16, 4, 2],
    ['Standard_E4s_v5', 4, 32, 8, 2],
    ['Standard_E8s_v5', 8, 64, 16, 4, { restriction: { zones: ['3'] } }],
  ]),
  ...family('standardFSv2Family', 'Standard FSv2 Family vCPUs', {}, [
    ['Standard_F2s_v2', 2, 4, 4, 2],
    ['Standard_F4s_v2', 4, 8, 8, 2],
  ]),
  ...family('standardLSv3Family', 'Standard LSv3 Family vCPUs', { controllers: ['SCSI', 'NVMe'] }, [
    ['Standard_L8s_v3', 8, 64, 16, 4, { absentIn: ['northeurope'] }],
  ]),
  ...family('standardNCSv3Family', 'Standard NCSv3 Family vCPUs', {}, [
    ['Standard_NC6s_v3', 6, 112, 12, 4, { restriction: 'location' }],
  ]),
];

export function findSize(name: string, location: string): VmSize | undefined {
  const wanted = name.toLowerCase();
  return VM_SIZES.find(
    (size) => size.name.toLowerCase() === wanted && !size.absentIn.includes(location.toLowerCase()),
  );
}

/** Regions of the public cloud that have no availability zones. */
const REGIONS_WITHOUT_ZONES = [
  'japanwest',
  'westus',
  'northcentralus',
  'westcentralus',
  'ukwest',
  'southindia',
];

export function zonesOf(location: string): readonly string[] {
  return REGIONS_WITHOUT_ZONES.includes(location.toLowerCase()) ? [] : ['1', '2', '3'];
}

/** Sizes as `vmSizes` lists them, of a region or for one VM. */
export function sizeDocuments(location: string): {
  readonly name: string;
  readonly numberOfCores: number;
  readonly osDiskSizeInMB: number;
  readonly resourceDiskSizeInMB: number;
  readonly memoryInMB: number;
  readonly maxDataDiskCount: number;
}[] {
  return VM_SIZES.filter((size) => !size.absentIn.includes(location)).map((size) => ({
    name: size.name,
    numberOfCores: size.vCpus,
    osDiskSizeInMB: 1047552,
    resourceDiskSizeInMB: 0,
    memoryInMB: size.memoryGib * 1024,
    maxDataDiskCount: size.dataDisksMax,
  }));
}

/** Family names with their titles, once each, in the table's order. */
export function sizeFamilies(): ReadonlyMap<string, string> {
  return new Map(VM_SIZES.map((size) => [size.family, size.familyTitle]));
}

/** Quotas of a subscription in one region, as a new pay-as-you-go subscription has them. */
export const CORES_LIMIT = 100;
export const FAMILY_CORES_LIMIT = 64;
export const MACHINES_LIMIT = 25_000;
