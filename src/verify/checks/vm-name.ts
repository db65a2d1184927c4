import type { MasterInventory } from '../../model/disk.ts';
import type { Check, Finding } from '../check.ts';
import { doubtful, error, ok, warning, wrong } from '../check.ts';

/**
 * Azure's documents allow different sets of characters in different copies; this is the one that all of them allow,
 * and it is a valid host name too. The name inside the guest is the one on the disk and does not change.
 */
const STRICT = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i;
const AZURE_LENGTH_MAX = 64;
const WINDOWS_LENGTH_MAX = 15;

/** What is wrong with a VM name, as a sentence; undefined when it is right. Also the wizard's own validation. */
export function wrongVmName(name: string, family: MasterInventory['os']['family']): string | undefined {
  if (name.length === 0) return 'A VM name is needed.';
  if (name.length > AZURE_LENGTH_MAX) return `"${name}" has ${name.length} characters; Azure takes 1 to 64.`;
  if (!STRICT.test(name)) {
    return `"${name}" is not a VM name: letters a-z, digits and hyphens, beginning and ending with a letter or digit.`;
  }
  if (family === 'windows' && /^\d+$/.test(name))
    return `"${name}" is all digits, which Windows refuses as a name.`;
  return undefined;
}

export const vmName: Check = {
  id: 'vm-name',
  title: 'VM name',
  group: 'Names',
  uses: [],
  codes: {
    VM_NAME_INVALID: error(
      'Azure and the guest allow letters, digits and hyphens only.',
      'Choose another VM name.',
    ),
    VM_NAME_LONG_FOR_WINDOWS: warning(
      'A Windows computer name has 15 characters at most.',
      'Shorten it, or accept that VM and computer have different names.',
    ),
  },
  async run({ scenario, inventory }): Promise<readonly Finding[]> {
    const { name } = scenario.vm;
    const family = inventory?.os.family ?? 'linux';
    const fault = wrongVmName(name, family);
    if (fault) return [wrong('VM_NAME_INVALID', fault, 'a valid VM name', 'Choose another VM name.')];
    if (family === 'windows' && name.length > WINDOWS_LENGTH_MAX) {
      const found = `"${name}" has ${name.length} characters; a Windows computer name has 15 at most.`;
      const next = 'Shorten it, or accept that the VM and the computer inside it have different names.';
      return [doubtful('VM_NAME_LONG_FOR_WINDOWS', found, '1 to 15 characters', next)];
    }
    return [ok('VM_NAME_OK', `"${name}" is a valid name`)];
  },
};
