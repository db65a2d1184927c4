import { describe, expect, it } from 'vitest';
import { permits } from '../../src/verify/permitted.ts';

describe('missing actions', () => {
  const needed = ['Microsoft.Compute/disks/write', 'Microsoft.Network/networkInterfaces/join/action'];
  it.each([
    ['nothing is missing for an owner', ['*'], [], []],
    [
      'a provider’s wildcard reaches over slashes',
      ['microsoft.compute/*', 'Microsoft.Network/*/action'],
      [],
      [],
    ],
    ['what is taken away is missing', ['*'], ['Microsoft.Compute/*/write'], [needed[0]]],
    ['a wildcard stands for what it says only', ['Microsoft.Compute/disks/*'], [], [needed[1]]],
    ['everything is missing for nobody', [], [], needed],
    ['a point is a point', ['MicrosoftXCompute/disks/write', needed[1] ?? ''], [], [needed[0]]],
  ])('%s', (_, actions, notActions, missing) => {
    const role = { actions, notActions };
    expect(needed.filter((action) => !permits([role], action))).toEqual(missing);
  });
});
