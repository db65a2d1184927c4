import { inputError } from '../errors.ts';
import type { Account } from '../model/account.ts';
import type { Appliance, Master } from '../model/appliance.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { Cloud, ResourceGroup, SecurityGroup, VirtualNetwork, VmSize } from '../ports/cloud.ts';
import type { Answers } from '../ports/host.ts';
import type { Context } from './context.ts';
import { refreshedMaster } from './master.ts';
import { textOf } from './screen.ts';

/**
 * What the scenario's questions are made from: each thing is asked for once in one wizard, however often the person
 * goes back. Only `master list` is asked again, because a master may join while the wizard waits.
 */
export class ScenarioLookups {
  private readonly context: Context;
  private readonly kept = new Map<string, Promise<unknown>>();

  constructor(context: Context) {
    this.context = context;
  }

  accounts(): Promise<readonly Account[]> {
    return this.once('accounts', () => this.context.store.accounts.list());
  }

  masters(): Promise<readonly Master[]> {
    return this.context.store.masters.list();
  }

  appliances(): Promise<readonly Appliance[]> {
    return this.once('appliances', () => this.context.store.appliances.list());
  }

  /** The account of the answers, or the only one there is. */
  async account(answers: Answers): Promise<Account> {
    const accounts = await this.accounts();
    const name = textOf(answers.account).toLowerCase();
    const found = name === '' ? accounts[0] : accounts.find((one) => one.name.toLowerCase() === name);
    if (found) return found;
    throw inputError(
      'ACCOUNT_UNKNOWN',
      'No account is registered yet.',
      'Register one first: standby account add',
    );
  }

  async master(answers: Answers): Promise<Master> {
    const name = textOf(answers.master).toLowerCase();
    const found = (await this.masters()).find((one) => one.name.toLowerCase() === name);
    if (found) return found;
    throw inputError(
      'MASTER_UNKNOWN',
      `There is no master ${name}.`,
      'List those there are: standby master list',
    );
  }

  /** As its engine tells it now, when its appliance answers; else as it was last told. */
  async inventoryNow(answers: Answers): Promise<MasterInventory> {
    const master = await this.master(answers);
    return this.once(
      `inventory ${master.id}`,
      async () => (await refreshedMaster(this.context, master)).inventory,
    );
  }

  async cloud(answers: Answers): Promise<Cloud> {
    const account = await this.account(answers);
    return this.once(`cloud ${account.id}`, () => this.context.cloudFor(account));
  }

  locations(answers: Answers): Promise<readonly { readonly name: string; readonly displayName: string }[]> {
    return this.ofCloud(answers, 'locations', (cloud) => cloud.catalogue.locations());
  }

  sizes(answers: Answers): Promise<readonly VmSize[]> {
    const region = textOf(answers.region);
    return this.ofCloud(answers, `sizes ${region}`, (cloud) => cloud.catalogue.sizes(region));
  }

  groups(answers: Answers): Promise<readonly ResourceGroup[]> {
    return this.ofCloud(answers, 'groups', (cloud) => cloud.groups.list());
  }

  networks(answers: Answers): Promise<readonly VirtualNetwork[]> {
    const region = textOf(answers.region);
    return this.ofCloud(answers, `networks ${region}`, (cloud) => cloud.network.virtualNetworks(region));
  }

  securityGroups(answers: Answers): Promise<readonly SecurityGroup[]> {
    const region = textOf(answers.region);
    return this.ofCloud(answers, `security groups ${region}`, (cloud) =>
      cloud.network.securityGroups(region),
    );
  }

  private async ofCloud<Found>(
    answers: Answers,
    key: string,
    ask: (cloud: Cloud) => Promise<Found>,
  ): Promise<Found> {
    const account = await this.account(answers);
    return this.once(`${key} of ${account.id}`, async () => ask(await this.cloud(answers)));
  }

  /** A failed look is forgotten, so that going back and on asks again. */
  private once<Found>(key: string, ask: () => Promise<Found>): Promise<Found> {
    const known = this.kept.get(key);
    if (known) return known as Promise<Found>;
    const asked = ask();
    this.kept.set(key, asked);
    asked.catch(() => this.kept.delete(key));
    return asked;
  }
}

/** How a resource is written in answers and files: short, and one of a kind in its subscription. */
export function resourceKey(resource: { readonly id: string; readonly name: string }): string {
  return `${resourceGroupOf(resource.id)}/${resource.name}`;
}

export function resourceGroupOf(id: string): string {
  return /\/resourceGroups\/([^/]+)/i.exec(id)?.[1] ?? '';
}
