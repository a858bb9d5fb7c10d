"""A table, cleaned: spellings of missing cells, types, limits, categories and scales, learnt from training rows alone.

python scripts/clean_data.py --config=configs/clean_table.py --input='patients/*.csv' --output=patients \
  --config.untouched='("label",)' --config.steps="trim|missing|drop_rows('label')"

`patients/data/*.parquet` then trains: see configs/mlp_tables.py, with data.source=parquet. `untouched` names the labels
and groups; one that is a number is declared so: `types(number='price')`, in `steps`.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = "") -> ConfigDict:
    """`tiny`: days of a stock that matplotlib brings, over in seconds."""
    config = common.make(
        modality="table",
        source=dict(field=""),
        steps="trim|missing|drop_rows('label')",
        untouched=("label",),
        fitted=(
            "infer_types|drop_columns|impute('median', indicator=True)|impute('mode')|clip_outliers('iqr', 3.0)"
            "|one_hot(rare=0.01)|standardize"
        ),
        dedup=dict(exact=True),
        split=dict(val=0.1, test=0.1),
        output=dict(format="parquet"),
    )
    if arg == "tiny":
        config.files = (common.installed("matplotlib", "mpl-data/sample_data/msft.csv"),)
        config.update(
            steps="trim|missing|types(number=('Close', 'Volume'), date='Date', date_formats=('%d-%b-%y',))"
            "|within('Volume', 0, 90_000_000)|drop_rows('Close')|drop('Adj. Close*')",
            untouched=("Close",),
            split=dict(val=0.15, test=0.15),
        )
    elif arg:
        common.refuse("clean_table.py", arg)
    return config
