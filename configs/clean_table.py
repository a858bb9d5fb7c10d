"""A table, cleaned: types, missing cells, outliers, categories and scales, learnt from the training rows alone.

python scripts/clean_data.py --config=configs/clean_table.py --input='patients.csv' --output=cleaned
"""

from ml_collections import ConfigDict


def get_config(arg: str = "") -> ConfigDict:
    return ConfigDict(dict(modality="table", steps="types", source=dict(field=""), fitted="impute('median', indicator=True)|standardize", untouched=("target",), split=dict(train=0.8,val=0.1,test=0.1), output=dict(format="parquet")))
