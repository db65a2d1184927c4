import type { Behaviour, ProviderRoute } from '../arm/behaviour.ts';

/** Every resource type Local Azure knows: one file each, one line here. */
export const behaviours: readonly Behaviour[] = [];

/** What hangs below a provider: skus, usages, name checks. */
export const providerRoutes: readonly ProviderRoute[] = [];
