import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { timeText } from '../clock.ts';
import { inputError } from '../errors.ts';
import { openFindings } from '../model/verdict.ts';
import { acceptedOf, acceptOption, answerFlags, optionText, presetOf } from './answers.ts';
import { type Call, leaf, Outcome } from './command.ts';
import { done, listing, note, tellAll, warn } from './people.ts';
import { SCENARIO_FLAGS } from './scenario-flags.ts';
import type { Shell } from './shell.ts';
import { textOfFile } from './text-file.ts';

export function addScenarioCommands(program: Command, shell: Shell): void {
  const scenario = program
    .command('scenario')
    .description('Scenarios: what is protected, and what its standby will be');
  acceptOption(
    answerFlags(
      leaf(scenario, 'create', 'Creates a scenario, after checking it', shell, create),
      SCENARIO_FLAGS,
    ),
  )
    .option(
      '--group <group>',
      'make it a member of this group, in its last wave; what all members have alike is proposed, and is what is not said',
    )
    .addHelpText('after', '\nFor the second NIC add 1 to a flag (--subnet1), for the third 2, and so on.');
  leaf(scenario, 'list', 'Lists the scenarios and their states', shell, list);
  leaf(scenario, 'show <scenario>', 'Shows a definition', shell, show);
  acceptOption(
    leaf(scenario, 'verify <scenario>', 'Finds what would fail at a switchover today', shell, verify),
  );
  leaf(
    scenario,
    'codes [code]',
    'Explains what a check can find: cause and cure of every code',
    shell,
    codes,
  );
  acceptOption(
    answerFlags(
      leaf(scenario, 'edit <scenario>', 'Changes a scenario that stands still', shell, edit),
      SCENARIO_FLAGS,
    ),
  );
  leaf(
    scenario,
    'export <scenario>',
    'Writes a definition as YAML: no secrets, no ids',
    shell,
    exportYaml,
  ).option('--file <file>', 'where to write it (default: standard output)');
  acceptOption(
    leaf(
      scenario,
      'import <file>',
      'Creates a scenario from YAML; `-` reads standard input',
      shell,
      importYaml,
    ).option('--dns-key-file <file>', 'the TSIG key of a redirection by dns-update; stored encrypted'),
  );
  leaf(scenario, 'remove <scenario>', 'Forgets a stopped scenario', shell, remove).option(
    '--delete-replica',
    'delete its copied disks in Azure too',
  );
}

type Report = import('../control/scenario.ts').ScenarioReport;

async function create(call: Call): Promise<unknown> {
  const answers = await presetOf(
    call,
    SCENARIO_FLAGS.map((flag) => flag.name),
  );
  const group = optionText(call, 'group');
  const preset = group === undefined ? answers : { ...answers, group };
  const wizards = await call.shell.parts.wizards();
  const start = { preset, yes: call.yes, accept: acceptedOf(call) };
  return (await wizards.scenario(await call.context(), start)) as Report;
}

async function edit(call: Call): Promise<unknown> {
  const preset = await presetOf(
    call,
    SCENARIO_FLAGS.map((flag) => flag.name),
  );
  const wizards = await call.shell.parts.wizards();
  const start = { preset: { ...preset, scenario: call.args[0] }, yes: call.yes, accept: acceptedOf(call) };
  return (await wizards['scenario-edit'](await call.context(), start)) as Report;
}

async function list(call: Call): Promise<unknown> {
  const { listScenarios } = await import('../control/scenario.ts');
  const scenarios = await listScenarios(await call.context());
  listing(call, 'There is no scenario yet: standby scenario create', {
    columns: ['scenario', 'state', 'purpose', 'region', 'standby VM'],
    rows: scenarios.map(({ scenario, status }) => [
      scenario.name,
      status.state,
      scenario.purpose,
      scenario.region,
      scenario.vm.name,
    ]),
  });
  return {
    scenarios: scenarios.map(({ scenario, status }) => ({ ...scenario, state: status.state, status })),
  };
}

async function show(call: Call): Promise<unknown> {
  const context = await call.context();
  const [{ exportScenario }, { scenarioNamed }, { statusOf }] = await Promise.all([
    import('../control/scenario-yaml.ts'),
    import('../control/scenario-named.ts'),
    import('../control/scenario-status.ts'),
  ]);
  const scenario = await scenarioNamed(context, String(call.args[0]));
  const { file, yaml } = await exportScenario(context, scenario.name);
  note(call, yaml.trimEnd());
  for (const warning of scenario.acceptedWarnings) {
    note(call, `Accepted: ${warning.code} by ${warning.who} at ${timeText(warning.atMs)}`);
  }
  return { scenario, names: file, status: await statusOf(context, scenario) };
}

async function verify(call: Call): Promise<unknown> {
  const { verifySavedScenario } = await import('../control/scenario.ts');
  const { scenario, status, verdicts } = await verifySavedScenario(
    await call.context(),
    String(call.args[0]),
    'watch',
    acceptedOf(call),
  );
  await tellAll(call, `Scenario ${scenario.name}`, verdicts);
  const accepted = scenario.acceptedWarnings.map((one) => one.code);
  const open = openFindings(verdicts, accepted);
  const document = {
    scenario: scenario.name,
    state: status.state,
    ok: open.length === 0,
    accepted,
    verdicts,
  };
  return new Outcome(document, open.length > 0 ? 3 : 0);
}

/** The page of all codes is docs/VERIFY.md; of one code, its cause and cure. */
async function codes(call: Call): Promise<unknown> {
  const [{ CHECKS }, { explainedCodes, verifyDocument }] = await Promise.all([
    import('../verify/index.ts'),
    import('../verify/document.ts'),
  ]);
  const known = explainedCodes(CHECKS);
  const [code] = call.args;
  if (code === undefined) {
    if (!call.json) call.shell.stdout.write(verifyDocument(CHECKS));
    return { codes: known };
  }
  const found = known.filter((one) => one.code === code.toUpperCase());
  if (found.length === 0) {
    throw inputError('CODE_UNKNOWN', `No check finds ${code}.`, 'All codes: standby scenario codes');
  }
  for (const one of found) {
    note(call, `${one.code} (${one.status}), ${one.group}, ${one.check}`);
    note(call, `Cause: ${one.cause}`);
    note(call, `Cure: ${one.cure}`);
  }
  return { codes: found };
}

async function exportYaml(call: Call): Promise<unknown> {
  const { exportScenario } = await import('../control/scenario-yaml.ts');
  const { file, yaml } = await exportScenario(await call.context(), String(call.args[0]));
  const target = optionText(call, 'file');
  if (target !== undefined) {
    await writeFile(target, yaml);
    done(call, `Written to ${target}.`);
  } else if (!call.json) {
    call.shell.stdout.write(yaml);
  }
  return file;
}

async function importYaml(call: Call): Promise<unknown> {
  const [{ scenarioFileFromYaml }, { createScenario }] = await Promise.all([
    import('../control/scenario-yaml.ts'),
    import('../control/scenario.ts'),
  ]);
  const file = await scenarioFileFromYaml(await textOfFile(call));
  const keyFile = optionText(call, 'dnsKeyFile');
  const { readRedirectKey } = await import('../control/redirect-key.ts');
  const report = await createScenario(await call.context(), file, {
    accept: acceptedOf(call),
    command: `standby scenario import ${String(call.args[0])}`,
    ...(keyFile === undefined ? {} : { redirectKey: await readRedirectKey(keyFile) }),
  });
  await tellAll(call, 'Checks', report.verdicts);
  done(call, `Scenario ${report.scenario.name} is saved; it is ${report.status.state}.`);
  return report;
}

async function remove(call: Call): Promise<unknown> {
  const { removeScenario } = await import('../control/scenario-remove.ts');
  const { scenario, deleted, notes } = await removeScenario(await call.context(), String(call.args[0]), {
    deleteReplica: call.options.deleteReplica === true,
  });
  for (const line of notes) warn(call, line);
  for (const id of deleted) note(call, `Deleted ${id}`);
  done(call, `The scenario ${scenario.name} is removed.`);
  return { removed: scenario.name, deleted, notes };
}
