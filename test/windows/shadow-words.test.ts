import { describe, expect, it } from 'vitest';
import {
  consistencyOf,
  createOneByOneScript,
  createScript,
  deleteScript,
  madeOneByOne,
  removeScript,
  setIdIn,
  shadowsOf,
  writersOf,
} from '../../src/master/windows/shadow-words.ts';
import { DATA_VOLUME, OS_VOLUME } from './documents.ts';

const SET = '{c2a8b1f0-3d7e-4a52-9b1c-7f6e5d4c3b2a}';
const SHADOW = '{8f5d1e2a-6b3c-4d7f-a1b2-c3d4e5f60718}';

/** As Microsoft describes diskshadow's output; written by hand. */
const ENGLISH = `Microsoft DiskShadow version 1.0
Copyright (C) 2013 Microsoft Corporation
On computer:  AP01,  11/21/2026 10:00:00 AM

-> set context persistent
-> add volume ${OS_VOLUME} alias standby0
-> create
Alias standby0 for shadow ID ${SHADOW} set as environment variable.
Alias VSS_SHADOW_SET for shadow set ID ${SET} set as environment variable.

Querying all shadow copies with the shadow copy set ID ${SET}

\t* Shadow copy ID = ${SHADOW}\t\t%standby0%
\t\t- Shadow copy set: ${SET}\t%VSS_SHADOW_SET%
\t\t- Shadow copy device name: \\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy3
Number of shadow copies listed: 1
`;
const JAPANESE = `Microsoft DiskShadow バージョン 1.0
-> create
シャドウ ID ${SHADOW} のエイリアス standby0 が環境変数として設定されました。
シャドウ セット ID ${SET.toUpperCase()} のエイリアス VSS_SHADOW_SET が環境変数として設定されました。
`;

const WRITERS_ENGLISH = `vssadmin 1.1 - Volume Shadow Copy Service administrative command-line tool
(C) Copyright 2001-2013 Microsoft Corp.

Writer name: 'System Writer'
   Writer Id: {e8132975-6f93-4464-a53e-1050253ae220}
   Writer Instance Id: {3a8f4f1e-7a1d-4e0a-9b3c-2f1d0c9b8a76}
   State: [1] Stable
   Last error: No error

Writer name: 'SqlServerWriter'
   Writer Id: {a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}
   Writer Instance Id: {0c9b8a76-7a1d-4e0a-9b3c-2f1d3a8f4f1e}
   State: [8] Failed
   Last error: Timed out
`;
const WRITERS_JAPANESE = `vssadmin 1.1 - ボリューム シャドウ コピー サービス管理コマンド ライン ツール

ライター名: 'System Writer'
   ライター Id: {e8132975-6f93-4464-a53e-1050253ae220}
   ライター インスタンス Id: {3a8f4f1e-7a1d-4e0a-9b3c-2f1d0c9b8a76}
   状態: [1] 安定
   最後のエラー: エラーなし

ライター名: 'SqlServerWriter'
   ライター Id: {a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}
   ライター インスタンス Id: {0c9b8a76-7a1d-4e0a-9b3c-2f1d3a8f4f1e}
   状態: [8] 失敗
   最後のエラー: タイムアウト
`;
const writers = (text: string) => writersOf({ said: text.split('\n') });

describe('What diskshadow is told', () => {
  it('puts all volumes in one set, with writers, and ends nobody’s chain of backups', () => {
    expect(createScript([OS_VOLUME, DATA_VOLUME], 'C:\\state\\set.cab').split('\r\n')).toEqual([
      'set verbose on',
      'set context persistent',
      'set metadata "C:\\state\\set.cab"',
      `add volume ${OS_VOLUME} alias standby0`,
      `add volume ${DATA_VOLUME} alias standby1`,
      'create',
      '',
    ]);
  });

  it('deletes by GUID only, and takes nothing else into any script', () => {
    expect(deleteScript('set', [SET])).toBe(`delete shadows set ${SET}\r\n`);
    for (const wrong of ['all', '', `${SET} all`, 'C:', `${OS_VOLUME}\r\ndelete shadows all`, "'; rm"]) {
      for (const make of [
        () => deleteScript('id', [wrong]),
        () => createScript([wrong], 'x'),
        () => removeScript([wrong]),
        () => createOneByOneScript([wrong], 'x'),
      ]) {
        expect(make).toThrow(RangeError);
      }
    }
  });

  it('quotes the path of the trace', () => {
    expect(createOneByOneScript([OS_VOLUME], "C:\\it's\\trace")).toContain("'C:\\it''s\\trace'");
  });
});

describe('What diskshadow says', () => {
  it.each([
    ['English', ENGLISH],
    ['Japanese', JAPANESE],
    ['a log in UTF-16', Buffer.from(ENGLISH, 'utf16le').toString('latin1')],
    ['Japanese in another code page', Buffer.from(JAPANESE, 'utf8').toString('latin1')],
  ])('names the set: %s', (_, said) => expect(setIdIn(said)).toBe(SET));

  it('names none before there is one', () => {
    expect(setIdIn(ENGLISH.split('Alias VSS')[0] ?? '')).toBeUndefined();
    expect(setIdIn('')).toBeUndefined();
  });
});

describe('Shadow copies', () => {
  const device = '\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy3';

  it('are read from WMI, one or many', () => {
    const one = { id: SHADOW.toUpperCase(), setId: SET, volume: OS_VOLUME, device };
    expect(shadowsOf({ shadows: one })).toEqual([{ id: SHADOW, setId: SET, volume: OS_VOLUME, device }]);
    expect(shadowsOf({ shadows: null })).toEqual([]);
    expect(() => shadowsOf({ shadows: [{ ...one, device: '\\\\.\\PhysicalDrive0' }] })).toThrow();
  });

  it('that were made one by one are in the trace', () => {
    expect(madeOneByOne(`${SHADOW.toUpperCase()}\r\n${SET}\r\n`)).toEqual([SHADOW, SET]);
    expect(madeOneByOne('')).toEqual([]);
  });
});

describe('The writers of VSS', () => {
  it.each([
    ['English', WRITERS_ENGLISH, 'Timed out'],
    ['Japanese', WRITERS_JAPANESE, 'タイムアウト'],
  ])('are read in %s', (_, text, lastError) => {
    const found = writers(text);
    expect(found.map(({ name, id, state }) => ({ name, id, state }))).toEqual([
      { name: 'System Writer', id: '{e8132975-6f93-4464-a53e-1050253ae220}', state: 1 },
      { name: 'SqlServerWriter', id: '{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}', state: 8 },
    ]);
    expect(found[1]?.lastError).toBe(lastError);
  });

  it('decide what the view is called', () => {
    const all = writers(WRITERS_ENGLISH);
    expect(consistencyOf(all.slice(0, 1))).toBe('Application-consistent: 1 writers of VSS took part.');
    expect(consistencyOf(all)).toContain(
      'crash-consistent for writers that failed: SqlServerWriter [8] Timed out',
    );
    expect(consistencyOf([])).toContain('not known');
  });
});
