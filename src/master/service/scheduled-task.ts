import { z } from 'zod';
import { inputError } from '../../errors.ts';
import type { WindowsTools } from '../windows/powershell.ts';
import { commandOf, type ServiceSpec, type ServiceState, type ServiceSystem } from './service.ts';

/**
 * A scheduled task of Windows that runs as SYSTEM from boot. A task is not started again when it fails by itself, so it
 * is triggered each minute as well, which does nothing while it runs. Dies at any line: the same command again ends with
 * the task as it should be. The state folder is closed to all but SYSTEM and administrators: the master's key is in it.
 */
const NAME = '\\Standby\\master';
const OLDEST_BUILD = 14393;

const statusSchema = z.object({
  task: z.object({ state: z.number(), enabled: z.boolean(), lastResult: z.number().nullish() }).nullish(),
});

export function scheduledTask(tools: WindowsTools): ServiceSystem {
  const status = async () => taskStateOf(await tools.powershell(STATUS_SCRIPT));
  return {
    print: (spec) => installScript(spec),
    status,
    async install(spec) {
      await tools.powershell(installScript(spec));
      return await status();
    },
    async uninstall() {
      await tools.powershell(UNINSTALL_SCRIPT);
      return await status();
    },
  };
}

const FIND = `$task = Get-ScheduledTask -TaskPath '\\Standby\\' -TaskName 'master' -ErrorAction SilentlyContinue`;
const STOP = `if ($task) {
  $task | Stop-ScheduledTask
  foreach ($wait in 1..60) {
    if ([int](Get-ScheduledTask -TaskPath '\\Standby\\' -TaskName 'master').State -ne 4) { break }
    Start-Sleep -Milliseconds 500
  }
}`;
const ASSERT_ADMINISTRATOR = `$me = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()
if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) { throw 'Run this as an administrator.' }`;

/** Complete by itself: it can be read, signed and run by whoever does not want Standby to change the system. */
export function installScript(spec: ServiceSpec): string {
  assertPlace(spec);
  const state = literal(spec.stateFolder);
  return `$ErrorActionPreference = 'Stop'
${ASSERT_ADMINISTRATOR}
if ([Environment]::OSVersion.Version.Build -lt ${OLDEST_BUILD}) { throw 'The engine needs Windows Server 2016 or newer.' }
New-Item -ItemType Directory -Force -Path ${state} | Out-Null
& "$env:SystemRoot\\System32\\icacls.exe" ${state} /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' /Q | Out-Null
if ($LASTEXITCODE -ne 0) { throw "icacls ended with $LASTEXITCODE" }
${FIND}
${STOP}
$definition = @'
${taskXml(spec)}
'@
Register-ScheduledTask -TaskPath '\\Standby\\' -TaskName 'master' -Xml $definition -Force | Out-Null
Start-ScheduledTask -TaskPath '\\Standby\\' -TaskName 'master'
@{ installed = $true }
`;
}

const UNINSTALL_SCRIPT = `${ASSERT_ADMINISTRATOR}
${FIND}
${STOP}
if ($task) { Unregister-ScheduledTask -TaskPath '\\Standby\\' -TaskName 'master' -Confirm:$false }
@{ removed = $true }
`;

const STATUS_SCRIPT = `${FIND}
if (-not $task) { return @{ task = $null } }
$info = $task | Get-ScheduledTaskInfo
@{ task = @{ state = [int]$task.State; enabled = [bool]$task.Settings.Enabled; lastResult = [long]$info.LastTaskResult } }
`;

export function taskXml(spec: ServiceSpec): string {
  const words = commandOf(spec).map(windowsWord).join(' ');
  return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.3" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Standby: sends the disks of this server to its appliance</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
    <TimeTrigger>
      <Repetition>
        <Interval>PT1M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <StartBoundary>2020-01-01T00:00:00</StartBoundary>
      <Enabled>true</Enabled>
    </TimeTrigger>
  </Triggers>
  <Principals>
    <Principal id="System">
      <UserId>S-1-5-18</UserId>
      <RunLevel>HighestAvailable</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>5</Priority>
  </Settings>
  <Actions Context="System">
    <Exec>
      <Command>${xml(windowsWord(spec.node))}</Command>
      <Arguments>${xml(words)}</Arguments>
      <WorkingDirectory>${xml(spec.stateFolder)}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>`;
}

/** What runs as SYSTEM must not lie where a user may replace it. */
function assertPlace({ node, program }: ServiceSpec): void {
  const open = [node, program].find((path) => /^[a-z]:\\(users|temp|windows\\temp)\\/i.test(path));
  if (!open) return;
  throw inputError(
    'SERVICE_PLACE_WRONG',
    `${open} lies where others than administrators may write, and would run as SYSTEM.`,
    'Install Standby in C:\\Program Files\\Standby, and run this command from there.',
  );
}

/** As Windows' programs take their command line apart. */
function windowsWord(text: string): string {
  if (/[\r\n\0]/.test(text)) {
    throw inputError(
      'SERVICE_WORD_WRONG',
      'A line break cannot be part of a service’s command.',
      'Leave it out.',
    );
  }
  return `"${text.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
}

function xml(text: string): string {
  const signs: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  };
  return text.replace(/[&<>"']/g, (sign) => signs[sign] ?? sign);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const RUNNING = 4;
const DISABLED = 1;

export function taskStateOf(answer: unknown): ServiceState {
  const { task } = statusSchema.parse(answer);
  if (!task) return { state: 'absent', name: NAME, detail: 'it is not installed' };
  const detail = `its last result was 0x${((task.lastResult ?? 0) >>> 0).toString(16)}`;
  if (task.state === RUNNING) return { state: 'running', name: NAME, detail };
  const state = task.state === DISABLED || !task.enabled ? 'disabled' : 'stopped';
  return { state, name: NAME, detail };
}
