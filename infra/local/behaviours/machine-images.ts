import { ArmError } from '../arm/arm-error.ts';
import { type JsonObject, textAt } from '../arm/json.ts';

/** The marketplace images Local Azure takes. They have no content here: the disk made from one is empty. */
interface Image {
  readonly publisher: string;
  readonly offer: string;
  /** SKUs of generation 2, and of generation 1. */
  readonly second: readonly string[];
  readonly first: readonly string[];
}

const IMAGES: readonly Image[] = [
  {
    publisher: 'Debian',
    offer: 'debian-12',
    second: ['12-gen2', '12-backports-gen2'],
    first: ['12', '12-backports'],
  },
  { publisher: 'Debian', offer: 'debian-13', second: ['13-gen2'], first: ['13'] },
  {
    publisher: 'Canonical',
    offer: 'ubuntu-24_04-lts',
    second: ['server', 'minimal', 'ubuntu-pro'],
    first: ['server-gen1', 'ubuntu-pro-gen1'],
  },
  {
    publisher: 'Canonical',
    offer: '0001-com-ubuntu-server-jammy',
    second: ['22_04-lts-gen2'],
    first: ['22_04-lts'],
  },
];

export function resolveImage(reference: JsonObject): {
  readonly reference: JsonObject;
  readonly generation: 'V1' | 'V2';
} {
  const [publisher, offer, sku, version] = ['publisher', 'offer', 'sku', 'version'].map(
    (field) => textAt(reference, field) ?? '',
  ) as [string, string, string, string];
  const same = (left: string, right: string) => left.toLowerCase() === right.toLowerCase();
  const image = IMAGES.find((known) => same(known.publisher, publisher) && same(known.offer, offer));
  const isSecond = image?.second.some((known) => same(known, sku)) ?? false;
  const isFirst = image?.first.some((known) => same(known, sku)) ?? false;
  if (!isSecond && !isFirst) {
    throw new ArmError(
      404,
      'PlatformImageNotFound',
      `The platform image '${publisher}:${offer}:${sku}:${version}' is not available. Verify that all fields in the ` +
        'storage profile are correct. For more details about storage profile information, please refer to ' +
        'https://aka.ms/storageprofile',
      'imageReference',
    );
  }
  return {
    reference: { publisher, offer, sku, version, exactVersion: version === 'latest' ? '1.0.0' : version },
    generation: isSecond ? 'V2' : 'V1',
  };
}
