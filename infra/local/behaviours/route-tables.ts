import type { Behaviour } from '../arm/behaviour.ts';
import { objectsAt } from '../arm/json.ts';
import { networkCreate, networkDelete, networkUpdate } from '../arm/operation-shape.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { USUAL_NAME } from './names.ts';

/** Route tables: kept and shown with their routes; nothing here is routed by them. */
export const routeTables: Behaviour = {
  type: 'Microsoft.Network/routeTables',
  apiVersions: NETWORK_VERSIONS,
  tracked: true,
  namePattern: USUAL_NAME,
  putShape: ({ existing }) => (existing ? networkUpdate : networkCreate),
  patchShape: 'now',
  deleteShape: networkDelete,
  azureMs: { create: 3000, update: 3000, delete: 10_000 },
  beforePut(_context, { resource }) {
    const routes = objectsAt(resource.properties, 'routes');
    resource.properties = { disableBgpRoutePropagation: false, ...resource.properties, routes };
  },
};
