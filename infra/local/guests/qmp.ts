import { connect, type Socket } from 'node:net';

/** QEMU's machine protocol over its socket. One conversation at a time; each ends with its connection. */
export interface Qmp {
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** A line for the human monitor; what it answers, trimmed ('' = it did it). */
  human(line: string): Promise<string>;
}

interface Message {
  readonly QMP?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
}

const ANSWER_MS = 15_000;

/** Rejects when the socket is not there, closes, or does not answer in time. */
export async function withQmp<T>(socketPath: string, work: (qmp: Qmp) => Promise<T>): Promise<T> {
  const socket = connect(socketPath);
  socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('QEMU does not answer.')));
  const next = messages(socket);
  try {
    await next((message) => message.QMP !== undefined);
    const execute: Qmp['execute'] = async (command, args = {}) => {
      socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
      const answer = await next((message) => 'return' in message || message.error !== undefined);
      if (answer.error) throw new Error(`QEMU refused ${command}: ${answer.error.desc}`);
      return answer.return;
    };
    await execute('qmp_capabilities');
    const human: Qmp['human'] = async (line) =>
      String(await execute('human-monitor-command', { 'command-line': line })).trim();
    return await work({ execute, human });
  } finally {
    socket.destroy();
  }
}

function messages(socket: Socket): (fits: (message: Message) => boolean) => Promise<Message> {
  const queue: Message[] = [];
  let text = '';
  let wake: () => void = () => {};
  let failure: Error | undefined;
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') queue.push(JSON.parse(line) as Message);
    wake();
  });
  socket.on('error', (error) => {
    failure = error;
    wake();
  });
  socket.on('close', () => {
    failure ??= new Error('QEMU closed its monitor.');
    wake();
  });
  return async (fits) => {
    for (;;) {
      const message = queue.shift();
      // Events come in between at any time.
      if (message !== undefined && fits(message)) return message;
      if (message !== undefined) continue;
      if (failure) throw failure;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}
