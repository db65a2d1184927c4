import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, StandbyError } from '../../errors.ts';

/**
 * What Windows is asked for through its own programs, named by their full path: an engine runs as SYSTEM, and must not
 * start what somebody put into a folder that is searched earlier. Promises: each call ends within its time and answers
 * at most so many bytes, or says which program failed and what it said.
 */
export interface WindowsTools {
  /** Runs a script of Windows PowerShell; answers what its last value is, as JSON has it. */
  powershell(script: string, limits?: { readonly timeoutMs?: number }): Promise<unknown>;
  /** Runs a file of commands for diskshadow, which also writes what it says to the log file. */
  diskshadow(scriptPath: string, logPath: string): Promise<string>;
}

const POWERSHELL_TIMEOUT_MS = 120_000;
/** Writers may take a minute to freeze, and Windows gives them no more than ten. */
const DISKSHADOW_TIMEOUT_MS = 15 * 60_000;
const OUTPUT_BYTES_MAX = 8 * 1024 ** 2;
const SAID_MAX = 1000;
/** CreateProcess takes 32,767 characters; Base64 of UTF-16 makes 8 of 3. */
const SCRIPT_CHARACTERS_MAX = 12_000;

export function windowsTools(systemRoot: string): WindowsTools {
  const folder = join(systemRoot, 'System32');
  return {
    async powershell(script, { timeoutMs = POWERSHELL_TIMEOUT_MS } = {}) {
      const program = join(folder, 'WindowsPowerShell', 'v1.0', 'powershell.exe');
      const said = await run(program, powershellArguments(script), timeoutMs);
      return answerOf(said);
    },
    diskshadow: (scriptPath, logPath) =>
      run(join(folder, 'diskshadow.exe'), ['/s', scriptPath, '/l', logPath], DISKSHADOW_TIMEOUT_MS),
  };
}

export function powershellArguments(script: string): string[] {
  const whole = wrapped(script);
  if (whole.length > SCRIPT_CHARACTERS_MAX) throw new RangeError('a PowerShell script is too long');
  const encoded = Buffer.from(whole, 'utf16le').toString('base64');
  return ['-NoLogo', '-NoProfile', '-NonInteractive', '-EncodedCommand', encoded];
}

/**
 * The answer goes out as bytes, so that neither the console's code page nor the language of Windows is in it; what else
 * a script says by accident is dropped.
 */
function wrapped(script: string): string {
  return `$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
try {
  $value = & {
${script}
  }
  $answer = @{ value = $value }
} catch {
  $answer = @{ failed = @{ message = [string]$_.Exception.Message; at = [string]$_.InvocationInfo.Line } }
}
$bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $answer -Depth 8 -Compress))
$stream = [Console]::OpenStandardOutput()
$stream.Write($bytes, 0, $bytes.Length)
$stream.Flush()
`;
}

const answerSchema = z.union([
  z.object({ failed: z.object({ message: z.string(), at: z.string() }) }),
  z.object({ value: z.unknown() }),
]);

function answerOf(said: string): unknown {
  let answer: z.infer<typeof answerSchema>;
  try {
    answer = answerSchema.parse(JSON.parse(said.replace(/^\uFEFF/, '')));
  } catch (error) {
    throw toolFailed('powershell.exe', `Its answer cannot be understood: ${messageOf(error)}`, error);
  }
  if ('failed' in answer) {
    const { message, at } = answer.failed;
    throw toolFailed('powershell.exe', `${message} (${at.trim().slice(0, SAID_MAX)})`);
  }
  return answer.value;
}

function run(program: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const options = {
    timeout: timeoutMs,
    maxBuffer: OUTPUT_BYTES_MAX,
    windowsHide: true,
    encoding: 'utf8',
  } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, options, (error, said, complained) => {
      if (!error) return resolve(said);
      const name = program.split(/[\\/]/).at(-1) ?? program;
      const text = `${complained.trim()} ${said.trim().slice(-SAID_MAX)}`.trim().slice(0, SAID_MAX);
      const ending = error.killed
        ? `It did not end within ${Math.round(timeoutMs / 1000)} s, or said too much.`
        : `It ended with ${error.code ?? error.signal}.`;
      reject(toolFailed(name, `${ending} ${text}`.trim(), error));
    });
    child.stdin?.end();
  });
}

function toolFailed(name: string, why: string, cause?: unknown): StandbyError {
  return new StandbyError({
    code: 'WINDOWS_TOOL_FAILED',
    what: `Windows' own program ${name} did not do what it was asked for.`,
    why,
    next: 'Run the engine as an administrator or as SYSTEM; the event log of Windows may say more.',
    retry: 'later',
    cause,
  });
}
