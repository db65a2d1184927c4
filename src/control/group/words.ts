/** Sentences about members that are right for one and for many. */
export const membersText = (count: number) => `${count} ${count === 1 ? 'member' : 'members'}`;

export function allSwitchedOver(group: string, count: number): string {
  return count === 1
    ? `The one member of group ${group} has switched over.`
    : `All ${count} members of group ${group} have switched over.`;
}

/** Without a full stop: more may follow. */
export function onStandbys(standbys: number, count: number): string {
  if (count === 1) return `its one member is ${standbys === 1 ? 'on its standby' : 'not on its standby'}`;
  return `${standbys} of ${count} members ${standbys === 1 ? 'is on its standby' : 'are on their standbys'}`;
}
