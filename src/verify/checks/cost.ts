import { replicaSizeGib } from '../../model/disk.ts';
import { type Check, type CheckFacts, type Finding, ok, skipped, unseen } from '../check.ts';
import { HOURS_IN_MONTH, type PriceTable } from '../prices.ts';

/** What it will cost, as far as a dated table of list prices tells: an estimate, never a promise. */
export const cost: Check = {
  id: 'cost',
  title: 'Cost (estimate)',
  group: 'Money',
  uses: [],
  codes: {
    PRICE_UNKNOWN: unseen(
      'The price table does not have the size or disk type, or the master is not known.',
      'Give a table of your own: STANDBY_PRICES, or prices.json in the home folder.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { prices, inventory } = facts;
    if (!prices || !inventory)
      return [skipped('PRICE_UNKNOWN', 'no price table, or the master is not known')];
    const hourly = standbyHour(facts, prices);
    const monthly = replicaMonth(facts, prices);
    const source = `list prices of ${prices.date}, an estimate`;
    const money = (amount: number) => `${prices.currency} ${rounded(amount)}`;
    return [
      hourly === undefined
        ? skipped(
            'PRICE_UNKNOWN',
            `no price for ${facts.scenario.vm.size} with ${facts.scenario.vm.diskType}`,
          )
        : ok('COST_OF_STANDBY', `once started about ${money(hourly)} an hour (${source})`),
      monthly === undefined
        ? skipped('PRICE_UNKNOWN', `no price for a disk of type ${replicaType(facts)}`)
        : ok('COST_OF_REPLICA', `about ${money(monthly)} a month for the replica disks (${source})`),
    ];
  },
};

function standbyHour({ scenario, inventory }: CheckFacts, prices: PriceTable): number | undefined {
  const { size, diskType } = scenario.vm;
  const names = Object.keys(prices.machineHour);
  const key = names.find((name) => name.toLowerCase() === size.toLowerCase());
  const machine = key === undefined ? undefined : prices.machineHour[key];
  const gib = prices.diskGibMonth[diskType];
  if (machine === undefined || gib === undefined || !inventory) return undefined;
  // Windows costs by vCPU; how many there are, the name tells only roughly.
  const cores = Number(/_[A-Z]+(\d+)/.exec(size)?.[1] ?? 2);
  const licence = inventory.os.family === 'windows' ? prices.windowsCoreHour * cores : 0;
  const addresses = scenario.nics.filter((nic) => nic.publicIp).length * prices.publicIpHour;
  return machine + licence + addresses + (gib * gibOf(inventory)) / HOURS_IN_MONTH;
}

function replicaMonth(facts: CheckFacts, prices: PriceTable): number | undefined {
  const gib = prices.diskGibMonth[replicaType(facts)];
  return gib === undefined || !facts.inventory ? undefined : gib * gibOf(facts.inventory);
}

/** Replica disks are never premium; nobody waits for them. */
function replicaType({ scenario }: CheckFacts): string {
  return scenario.vm.diskType === 'Premium_LRS' ? 'StandardSSD_LRS' : scenario.vm.diskType;
}

function gibOf(inventory: NonNullable<CheckFacts['inventory']>): number {
  return inventory.disks.reduce((sum, disk) => sum + replicaSizeGib(disk.sizeBytes), 0);
}

/** Two digits that count: more would be invented. */
function rounded(amount: number): string {
  return String(Number(amount.toPrecision(2)));
}
