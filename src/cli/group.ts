import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { optionText } from './answers.ts';
import { type Call, leaf } from './command.ts';
import { changedFile, fileFromFlags } from './group-flags.ts';
import { done, listing, note } from './people.ts';
import type { Shell } from './shell.ts';
import { textOfFile } from './text-file.ts';

/** Who goes together, in which order. What a group does is in group-work.ts. */
export function addGroupDefinitionCommands(group: Command, shell: Shell): void {
  definitionFlags(leaf(group, 'create <group>', 'Makes a group of scenarios', shell, create));
  definitionFlags(
    leaf(group, 'edit <group>', 'Changes a group; --wave anew replaces all of its waves', shell, edit),
  ).option('--name <name>', 'another name');
  leaf(group, 'list', 'Lists the groups', shell, list);
  leaf(group, 'show <group>', 'Shows a group, and its members with what they inherit', shell, show);
  leaf(group, 'export <group>', 'Writes a group as YAML: names, no ids', shell, exportYaml).option(
    '--file <file>',
    'where to write it (default: standard output)',
  );
  leaf(group, 'import <file>', 'Makes a group from YAML; `-` reads standard input', shell, importYaml);
  leaf(group, 'remove <group>', 'Forgets a group; its scenarios stay as they are', shell, remove);
}

function definitionFlags(command: Command): Command {
  const more = (value: string, before: readonly string[] = []) => [...before, value];
  return command
    .option(
      '--wave <scenarios>',
      'scenarios that go side by side, with commas; again for the next wave',
      more,
    )
    .option('--delay <wave=seconds>', 'wait so long after that wave; 1=0 takes it away', more)
    .option('--pause <wave=text>', 'stop after that wave until a person goes on; 1= takes it away', more)
    .option('--fallback-sizes <sizes>', 'for members that name none: other sizes, best first; or none')
    .option('--health-check <check>', 'for members that name none: tcp:443, http:80/path, or none')
    .option('--drill-schedule <when>', 'for members that have none: `weekly sun 03:00` (UTC), or none')
    .option('--parallel <number>', 'so many members switch over at once at most (default: by Azure limits)');
}

async function create(call: Call): Promise<unknown> {
  const { createGroup } = await import('../control/group/definition.ts');
  const context = await call.context();
  const group = await createGroup(context, await fileFromFlags(String(call.args[0]), call.options));
  done(call, `The group ${group.name} is saved.`);
  return documentOf(call, group);
}

async function edit(call: Call): Promise<unknown> {
  const [{ editGroup }, { groupNamed }, { fileFromGroup }] = await Promise.all([
    import('../control/group/definition.ts'),
    import('../control/group/named.ts'),
    import('../control/group/file.ts'),
  ]);
  const context = await call.context();
  const saved = await groupNamed(context, String(call.args[0]));
  const file = await changedFile(await fileFromGroup(context, saved), call.options);
  const group = await editGroup(context, saved.name, file);
  done(call, `The group ${group.name} is changed.`);
  return documentOf(call, group);
}

type Group = Awaited<ReturnType<typeof import('../control/group/definition.ts').createGroup>>;

async function documentOf(call: Call, group: Group): Promise<unknown> {
  const { fileFromGroup } = await import('../control/group/file.ts');
  return { group, names: await fileFromGroup(await call.context(), group) };
}

async function list(call: Call): Promise<unknown> {
  const [context, { fileFromGroup }] = await Promise.all([
    call.context(),
    import('../control/group/file.ts'),
  ]);
  const groups = await context.store.groups.list();
  const files = await Promise.all(groups.map((group) => fileFromGroup(context, group)));
  listing(call, 'There is no group yet: standby group create', {
    columns: ['group', 'waves', 'members'],
    rows: files.map(({ name, waves }) => [
      name,
      String(waves.length),
      waves.map((wave) => wave.scenarios.join(', ')).join(' > '),
    ]),
  });
  return { groups: files };
}

async function show(call: Call): Promise<unknown> {
  const [context, { groupNamed }, { viewOf }, { fileFromGroup, yamlOfGroup }] = await Promise.all([
    call.context(),
    import('../control/group/named.ts'),
    import('../control/group/definition.ts'),
    import('../control/group/file.ts'),
  ]);
  const { group, members } = await viewOf(context, await groupNamed(context, String(call.args[0])));
  const file = await fileFromGroup(context, group);
  note(call, (await yamlOfGroup(file)).trimEnd());
  listing(call, 'It has no member.', {
    title: 'Members, with what they inherit',
    columns: ['wave', 'scenario', 'sizes', 'health check', 'drills'],
    rows: members.map(({ wave, scenario }) => [
      String(wave),
      scenario.name,
      [scenario.vm.size, ...(scenario.vm.fallbackSizes ?? [])].join(' > '),
      scenario.healthChecks.map((check) => `${check.kind} ${check.port}`).join(', ') || 'none',
      scenario.drillSchedule ?? 'by hand',
    ]),
  });
  return { group, names: file, members };
}

async function exportYaml(call: Call): Promise<unknown> {
  const [context, { groupNamed }, { fileFromGroup, yamlOfGroup }] = await Promise.all([
    call.context(),
    import('../control/group/named.ts'),
    import('../control/group/file.ts'),
  ]);
  const file = await fileFromGroup(context, await groupNamed(context, String(call.args[0])));
  const yaml = await yamlOfGroup(file);
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
  const [{ groupFileFromYaml }, { createGroup }] = await Promise.all([
    import('../control/group/file.ts'),
    import('../control/group/definition.ts'),
  ]);
  const file = await groupFileFromYaml(await textOfFile(call));
  const group = await createGroup(await call.context(), file);
  done(call, `The group ${group.name} is saved.`);
  return documentOf(call, group);
}

async function remove(call: Call): Promise<unknown> {
  const { removeGroup } = await import('../control/group/definition.ts');
  const group = await removeGroup(await call.context(), String(call.args[0]));
  done(call, `The group ${group.name} is removed; its scenarios stay.`);
  return { removed: group.name };
}
