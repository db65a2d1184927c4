import type { Account } from '../../model/account.ts';
import type { Cloud } from '../../ports/cloud.ts';
import type { Host, Notice } from '../../ports/host.ts';
import type { Context } from '../context.ts';
import { sharingChecks, sharingReads } from './shared-reads.ts';

/**
 * A context for one member of a group: what it tells carries its name, and what stops the group's run stops it. All
 * members share one cloud for each account: they sign in once, and ask once for what is the same for all.
 */
export type MemberContext = (name: string, signal: AbortSignal) => Context;

export function memberContexts(context: Context): MemberContext {
  const clouds = new Map<string, Promise<Cloud>>();
  const cloudFor = (account: Account): Promise<Cloud> => {
    const known = clouds.get(account.id);
    if (known) return known;
    const made = context.cloudFor(account).then((cloud) => sharingReads(cloud, context.clock));
    clouds.set(account.id, made);
    // A sign-in that failed is tried again by the next one.
    made.catch(() => clouds.delete(account.id));
    return made;
  };
  const checked = new WeakMap<Cloud, Cloud>();
  const forChecks = (cloud: Cloud): Cloud => {
    const known = checked.get(cloud) ?? sharingChecks(cloud, context.clock);
    checked.set(cloud, known);
    return known;
  };
  return (name, signal) => {
    const host = memberHost(context.host, name, signal);
    return { ...context, cloudFor, forChecks, host };
  };
}

function memberHost(host: Host, name: string, signal: AbortSignal): Host {
  return { ...host, signal, tell: (notice) => host.tell(named(notice, name)) };
}

function named(notice: Notice, name: string): Notice {
  switch (notice.kind) {
    case 'text':
      return { ...notice, text: `[${name}] ${notice.text}` };
    case 'activity':
      return { ...notice, id: `${name}/${notice.id}`, text: `[${name}] ${notice.text}` };
    case 'table':
      return { ...notice, title: `[${name}] ${notice.title ?? ''}`.trim() };
    default:
      return { ...notice, id: `${name}/${notice.id}`, title: `[${name}] ${notice.title}` };
  }
}
