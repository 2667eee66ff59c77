"""A formula meets data: sparse columns for all effects."""
