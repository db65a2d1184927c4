import type { State } from '../state.ts';
import { ArmError } from './arm-error.ts';
import type { JsonObject } from './json.ts';
import type { Registry } from './registry.ts';

/** Which resource providers the subscription is registered for. */
export interface ProviderStore {
  stateOf(namespace: string): 'Registered' | 'Registering' | 'NotRegistered' | 'Unregistering';
  register(namespace: string): void;
  unregister(namespace: string): void;
  /** Throws MissingSubscriptionRegistration. */
  requireRegistered(namespace: string): void;
  present(namespace: string, locations: readonly string[]): JsonObject;
}

const DOCUMENT = 'providers';
/** Registered in every subscription, for ever. */
const ALWAYS = ['microsoft.resources', 'microsoft.authorization'];

export function makeProviderStore(options: {
  readonly state: State;
  readonly registry: Registry;
  readonly subscriptionId: string;
  readonly nowMs: () => number;
  readonly registrationMs: number;
}): ProviderStore {
  const { state, registry } = options;
  /** Namespace to the time from which it is registered; absent = from the start; -1 = not. */
  const load = () => state.getDocument<Record<string, number>>(DOCUMENT) ?? {};
  const set = (namespace: string, value: number) =>
    state.setDocument(DOCUMENT, { ...load(), [namespace.toLowerCase()]: value });
  const canonical = (namespace: string) =>
    registry.namespaces.find((known) => known.toLowerCase() === namespace.toLowerCase()) ?? namespace;
  const stateOf = (namespace: string) => {
    const since = load()[namespace.toLowerCase()] ?? 0;
    if (since < 0) return 'NotRegistered';
    return since > options.nowMs() ? 'Registering' : 'Registered';
  };
  return {
    stateOf,
    register(namespace) {
      if (stateOf(namespace) === 'NotRegistered') set(namespace, options.nowMs() + options.registrationMs);
    },
    unregister: (namespace) => set(namespace, -1),
    requireRegistered(namespace) {
      if (ALWAYS.includes(namespace.toLowerCase()) || stateOf(namespace) === 'Registered') return;
      throw new ArmError(
        409,
        'MissingSubscriptionRegistration',
        `The subscription is not registered to use namespace '${canonical(namespace)}'. See ` +
          'https://aka.ms/rps-not-found for how to register subscriptions.',
        canonical(namespace),
      );
    },
    present: (namespace, locations) => ({
      id: `/subscriptions/${options.subscriptionId}/providers/${canonical(namespace)}`,
      namespace: canonical(namespace),
      registrationPolicy: ALWAYS.includes(namespace.toLowerCase())
        ? 'RegistrationFree'
        : 'RegistrationRequired',
      registrationState: stateOf(namespace),
      resourceTypes: registry.typesOf(namespace).map((type) => ({
        resourceType: type.resourceType,
        locations: [...locations],
        apiVersions: [...type.apiVersions],
        capabilities: 'None',
      })),
    }),
  };
}
