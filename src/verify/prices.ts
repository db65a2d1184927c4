/**
 * What things cost, as a dated table. Ours is an approximation of pay-as-you-go list prices in US dollars, put
 * together by hand; it knows some sizes and no contract, reservation or currency. People replace it by their own file
 * (STANDBY_PRICES, or prices.json in the home folder) of the same shape.
 */
export interface PriceTable {
  /** YYYY-MM-DD: shown with every estimate. */
  readonly date: string;
  readonly currency: string;
  /** A VM that runs, for an hour, by size; Linux, no licence. */
  readonly machineHour: Readonly<Record<string, number>>;
  /** On top of it for Windows, for a vCPU and hour. */
  readonly windowsCoreHour: number;
  /** A GiB of managed disk for a month, by type. */
  readonly diskGibMonth: Readonly<Record<string, number>>;
  readonly publicIpHour: number;
}

export const HOURS_IN_MONTH = 730;

export const LIST_PRICES: PriceTable = {
  date: '2026-11-21',
  currency: 'USD',
  machineHour: {
    Standard_A1_v2: 0.05,
    Standard_A2_v2: 0.1,
    Standard_A4_v2: 0.21,
    Standard_B1s: 0.012,
    Standard_B1ms: 0.023,
    Standard_B2s: 0.046,
    Standard_B2ms: 0.092,
    Standard_B4ms: 0.18,
    Standard_B2s_v2: 0.09,
    Standard_B4s_v2: 0.18,
    Standard_DS1_v2: 0.07,
    Standard_DS2_v2: 0.14,
    Standard_D2_v3: 0.11,
    Standard_D2s_v3: 0.11,
    Standard_D4s_v3: 0.22,
    Standard_D2s_v5: 0.11,
    Standard_D4s_v5: 0.22,
    Standard_D8s_v5: 0.44,
    Standard_D16s_v5: 0.88,
    Standard_D32s_v5: 1.8,
    Standard_D2as_v5: 0.1,
    Standard_D4as_v5: 0.2,
    Standard_D2s_v6: 0.12,
    Standard_D4s_v6: 0.23,
    Standard_E2s_v5: 0.15,
    Standard_E4s_v5: 0.29,
    Standard_E8s_v5: 0.58,
    Standard_F2s_v2: 0.1,
    Standard_F4s_v2: 0.2,
    Standard_L8s_v3: 0.78,
  },
  windowsCoreHour: 0.046,
  diskGibMonth: { Standard_LRS: 0.05, StandardSSD_LRS: 0.08, Premium_LRS: 0.15 },
  publicIpHour: 0.005,
};
