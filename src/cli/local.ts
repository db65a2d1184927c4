import type { Command } from 'commander';
import { type Call, leaf, outside } from './command.ts';
import type { Shell } from './shell.ts';

/** Local Azure, the stand-in that needs no subscription. Its verbs live in infra/local; here are only their words. */
export function addLocalCommands(program: Command, shell: Shell): void {
  const local = program.command('local').description('Local Azure: a stand-in for Azure on this machine');
  const act = (verb: string) => (call: Call) => runVerb(verb, call);
  leaf(local, 'up', 'Starts it in the background, or finds it running', shell, act('up'))
    .option('--guests <kind>', 'how virtual machines run: qemu or none')
    .option('--latency <profile>', 'how long operations take: none, quick or azure')
    .option('--port <number>', 'port to listen on (default: a free one)')
    .option('--request-log <file>', 'write every request to this file, for finding faults');
  leaf(local, 'down', 'Ends it; its state stays', shell, act('down'));
  leaf(local, 'status', 'Shows whether it runs and what it holds', shell, act('status'));
  leaf(local, 'wipe', 'Removes its state; it must be down', shell, act('wipe'));
  leaf(local, 'env', 'Prints what other Azure clients need to reach it', shell, act('env'));
  const fault = local.command('fault').description('Makes operations fail on purpose');
  leaf(fault, 'add', 'Adds a fault', shell, act('fault-add'))
    .requiredOption('--on <operation>', 'such as Microsoft.Compute/virtualMachines/write')
    .option('--error <code>', "Azure's error code, such as AllocationFailed")
    .option('--kind <kind>', 'what happens: error, throttle, html, drop, poll or slow')
    .option('--status <number>', 'HTTP status')
    .option('--retry-after <seconds>', 'Retry-After of the answer')
    .option('--times <number>', 'how often it happens')
    .option('--after <number>', 'how many go well before')
    .option('--delay-ms <number>', 'how long a slow one takes')
    .option('--message <text>', 'message of the error');
  leaf(fault, 'list', 'Lists the faults that are armed', shell, act('fault-list'));
  leaf(fault, 'clear [fault]', 'Removes a fault by its id, or all of them', shell, act('fault-clear'));
}

async function runVerb(verb: string, call: Call): Promise<unknown> {
  return call.shell.parts.local({ ...(await outside(call)), verb });
}
