/** As much of a systemd unit as running its service needs. */
export interface ServiceUnit {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  readonly restarts: 'always' | 'on-failure' | 'no';
  readonly restartMs: number;
}

/** Blanks part words; quotes keep them together. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map(
    (match) => match[1]?.replace(/\\(.)/g, '$1') ?? match[2] ?? match[3] ?? '',
  );
}

function expanded(word: string, environment: Readonly<Record<string, string>>): string {
  return word.replace(/\$\{(\w+)\}/g, (_all, name: string) => environment[name] ?? '');
}

function seconds(text: string | undefined): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text ?? '');
  if (!match) return 100;
  return Number(match[1]) * (match[2] === 'ms' ? 1 : 1000);
}

export function parseUnit(text: string, inherited: Readonly<Record<string, string>>): ServiceUnit {
  const environment: Record<string, string> = { ...inherited };
  const values = new Map<string, string>();
  let section = '';
  for (const raw of text.replace(/\\\n/g, ' ').split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    if (line.startsWith('[')) {
      section = line;
      continue;
    }
    const [name, value] = [line.slice(0, line.indexOf('=')).trim(), line.slice(line.indexOf('=') + 1).trim()];
    if (section !== '[Service]') continue;
    if (name === 'Environment') {
      for (const pair of words(value))
        environment[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
    } else {
      values.set(name, value);
    }
  }
  const command = words((values.get('ExecStart') ?? '').replace(/^[-@:+!]+/, '')).map((word) =>
    expanded(word, environment),
  );
  if (command.length === 0) throw new Error('The unit has no ExecStart.');
  const restart = values.get('Restart');
  return {
    command,
    environment,
    workingDirectory: values.get('WorkingDirectory'),
    restarts: restart === 'always' || restart === 'on-failure' ? restart : 'no',
    restartMs: seconds(values.get('RestartSec')),
  };
}
