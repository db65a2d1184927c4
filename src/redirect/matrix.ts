/**
 * Which redirection method can be used for which kind of scenario (requirement M-25): all rows are kept as data, although
 * Standby itself makes full-system scenarios only. Advice for the others stands in M-20 to M-26.
 */
export const REDIRECTIONS = ['ip-move', 'computer-name', 'dns', 'computer-alias', 'script'] as const;
export type Redirection = (typeof REDIRECTIONS)[number];

export const SERVER_TYPES = [
  'file-server',
  'sql-server',
  'exchange',
  'iis',
  'oracle',
  'vcenter',
  'hyper-v',
  'full-system',
] as const;
export type ServerType = (typeof SERVER_TYPES)[number];

/** In the order of REDIRECTIONS. */
const POSSIBLE: Readonly<Record<ServerType, readonly boolean[]>> = {
  'file-server': [true, true, true, true, true],
  'sql-server': [true, true, true, true, true],
  exchange: [true, false, true, true, true],
  iis: [true, true, true, true, true],
  oracle: [true, false, true, true, true],
  vcenter: [true, true, true, true, true],
  'hyper-v': [false, false, true, false, true],
  'full-system': [false, false, true, false, true],
};

/** Undefined: it can be used. Otherwise one sentence that says why not. */
export function whyNotRedirect(serverType: ServerType, method: Redirection): string | undefined {
  if (POSSIBLE[serverType][REDIRECTIONS.indexOf(method)]) return undefined;
  return WHY_NOT[serverType]?.[method] ?? `${method} is not possible for ${serverType} scenarios.`;
}

const WHOLE_MACHINE: Partial<Record<Redirection, string>> = {
  'ip-move':
    'Moving the IP address is not possible for whole machines: it needs master and standby in one network segment.',
  'computer-name':
    'Switching the computer name is not possible for whole machines: the standby already is the master, name and all.',
  'computer-alias':
    'Switching a computer alias is not possible for whole machines: use a DNS record or a script of your own.',
};
const BY_APPLICATION = 'ties itself to its computer name and does not work under another.';

const WHY_NOT: Partial<Record<ServerType, Partial<Record<Redirection, string>>>> = {
  'full-system': WHOLE_MACHINE,
  'hyper-v': WHOLE_MACHINE,
  exchange: { 'computer-name': `Exchange ${BY_APPLICATION}` },
  oracle: { 'computer-name': `Oracle ${BY_APPLICATION}` },
};
