import type { RouteTable } from '../ports/cloud.ts';

type Route = RouteTable['routes'][number];

/**
 * The route by which everything leaves a subnet that no narrower one leads elsewhere; undefined: Azure's own, straight
 * to the Internet. Two halves are a default route too, and win over the whole, as the narrower prefix always does.
 */
export function wayOut({ routes }: Pick<RouteTable, 'routes'>): Route | undefined {
  const halves = ['0.0.0.0/1', '128.0.0.0/1'].map((prefix) =>
    routes.find((route) => route.prefix === prefix),
  );
  const [low, high] = halves;
  if (low && high) return halves.find((one) => one?.nextHop === 'None') ?? low;
  return routes.find((route) => route.prefix === '0.0.0.0/0');
}
